from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence

Learner = Callable[..., ContrastiveDivergence]
DATA = np.random.default_rng(5).integers(0, 2, (10, 6)).astype(np.float32)


@pytest.fixture
def learner(make_machine: Callable[..., BoltzmannMachine]) -> Learner:
    """Makes 6x5 machines with weights large enough that one Gibbs step is far from the model's distribution."""

    def make(**options: Any) -> ContrastiveDivergence:
        objective = ContrastiveDivergence(torch.full((6,), 0.5), 5, seed=0, **options)
        objective.module.load_state_dict(make_machine(6, 5, seed=3).state_dict(), strict=False)
        return objective

    return make


@pytest.fixture
def distance(enumerate_states: Callable[..., Any]) -> Callable[..., float]:
    """The largest difference of an update from the exact gradient of the negative log-likelihood."""

    def measure(found: dict[str, np.ndarray], objective: ContrastiveDivergence) -> float:
        exact = enumerate_states(objective.module.double()).gradient(DATA)
        objective.module.float()
        return max(float(np.abs(found[name] + exact[name]).max()) for name in exact)

    return measure


def mean_gradient(objective: ContrastiveDivergence, x: torch.Tensor, updates: int) -> dict[str, np.ndarray]:
    sums = {name: torch.zeros_like(p) for name, p in objective.module.named_parameters()}
    for _ in range(updates):
        objective.gradient(x, None)
        for name, parameter in objective.module.named_parameters():
            assert parameter.grad is not None
            sums[name] += parameter.grad
    return {name: total.detach().numpy() / updates for name, total in sums.items()}


def test_more_steps_bring_the_expected_update_to_the_exact_gradient(
    learner: Learner, distance: Callable[..., float]
) -> None:
    many = torch.tensor(np.tile(DATA, (2000, 1)))  # 20,000 chains an update
    errors = {}
    for steps in (1, 3, 40):
        objective = learner(steps=steps)
        errors[steps] = distance(mean_gradient(objective, many, 5), objective)
    assert errors[1] > 3 * errors[3] > 6 * errors[40]
    assert errors[40] < 0.006  # three standard errors of 100,000 chains


def test_persistent_chains_come_to_the_exact_gradient_by_single_steps(
    learner: Learner, distance: Callable[..., float]
) -> None:
    objective = learner(chains=5000)
    x = torch.tensor(DATA)
    mean_gradient(objective, x, 100)  # chains forget where they started
    assert distance(mean_gradient(objective, x, 100), objective) < 0.006


def test_one_step_reconstructs_with_probabilities(learner: Learner) -> None:
    """The expectation of CD-1's update over the 32 hidden states, enumerated (Hinton 2010, section 3)."""
    objective = learner()
    machine = objective.module
    weight, bias, visible_bias = (p.detach().double().numpy() for p in machine.parameters())
    states = np.array(list(product((0.0, 1.0), repeat=5)))
    driven = 1 / (1 + np.exp(-(DATA @ weight.T + bias)))
    expected = -driven.T @ DATA / len(DATA)
    for v in range(len(DATA)):
        chances = np.prod(np.where(states == 1, driven[v], 1 - driven[v]), axis=1)
        reconstruction = 1 / (1 + np.exp(-(states @ weight + visible_bias)))
        hidden = 1 / (1 + np.exp(-(reconstruction @ weight.T + bias)))
        expected += (chances[:, None] * hidden).T @ reconstruction / len(DATA)
    found = mean_gradient(objective, torch.tensor(np.tile(DATA, (2000, 1))), 5)
    np.testing.assert_allclose(found["weight"], expected, atol=0.004)


def test_weight_decay_pulls_weights_and_leaves_biases(learner: Learner) -> None:
    x = torch.tensor(DATA)
    plain, decayed = mean_gradient(learner(), x, 1), mean_gradient(learner(weight_decay=0.1), x, 1)
    weight = learner().module.weight.detach().numpy()
    np.testing.assert_allclose(decayed["weight"] - plain["weight"], 0.1 * weight, atol=1e-6)
    np.testing.assert_array_equal(decayed["bias"], plain["bias"])
    np.testing.assert_array_equal(decayed["visible_bias"], plain["visible_bias"])


def test_first_weights_are_small_and_visible_biases_are_the_data_s_log_odds() -> None:
    mean = torch.tensor([0.0, 0.25, 0.5, 1.0]).repeat(100)
    machine = ContrastiveDivergence(mean, 200, seed=1).module
    weight = machine.weight.detach()
    assert float(weight.std()) == pytest.approx(0.01, rel=0.02)
    assert abs(float(weight.mean())) < 1e-4
    assert not machine.bias.any()
    expected = torch.log(torch.tensor([0.001, 0.25, 0.5, 0.999]) / torch.tensor([0.999, 0.75, 0.5, 0.001]))
    torch.testing.assert_close(machine.visible_bias.detach()[:4], expected)


def test_measures_are_sums_over_the_batch_of_errors_and_free_energies(learner: Learner) -> None:
    objective, x = learner(), torch.tensor(DATA)
    machine = objective.module
    measures = objective.measure(x, None)
    reconstruction = machine.visible_probabilities(machine.hidden_probabilities(x))
    assert float(measures["reconstruction_error"]) == pytest.approx(((x - reconstruction) ** 2).sum().item())
    assert float(measures["free_energy"]) == pytest.approx(machine.free_energy(x).sum().item())
    assert set(objective.gradient(x, None)) == set(measures)


def test_images_are_flattened_channel_by_channel(learner: Learner) -> None:
    images, flat = torch.tensor(DATA).reshape(10, 1, 2, 3), learner()
    assert flat.represent(images).equal(flat.represent(images.flatten(1)))
    np.testing.assert_array_equal(
        mean_gradient(learner(), images, 1)["weight"], mean_gradient(learner(), images.flatten(1), 1)["weight"]
    )


def bars_and_stripes(size: int) -> np.ndarray:
    """All images whose rows, or whose columns, are each on or off (MacKay 2003, section 43.3)."""
    patterns = np.array([[i >> k & 1 for k in range(size)] for i in range(1 << size)], dtype=np.float32)
    stripes = np.repeat(patterns, size, axis=1)
    bars = np.tile(patterns, size)
    return np.unique(np.concatenate([stripes, bars]), axis=0)


@pytest.mark.parametrize(
    ("options", "momentum", "updates"),
    [({"steps": 5}, 0.9, 1500), ({"chains": 100}, 0.5, 3000)],
    ids=["cd-5", "pcd"],
)
def test_bars_and_stripes_become_likely(options: dict[str, int], momentum: float, updates: int) -> None:
    images = torch.tensor(bars_and_stripes(3))
    assert len(images) == 14
    objective = ContrastiveDivergence(images.mean(0), 16, seed=0, **options)
    optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.1, momentum=momentum)
    before = objective.module.log_likelihood(images).mean().item()
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - update / updates)
        objective.gradient(images.repeat(4, 1), None)
        optimizer.step()
    after = objective.module.log_likelihood(images).mean().item()
    most = -np.log(14)  # nothing is likelier on average than 14 equally likely images
    assert before < -6
    assert most - 0.35 < after <= most
