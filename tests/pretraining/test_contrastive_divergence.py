from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence, Rule
from nnpipe.pretraining.objective import Visible
from nnpipe.pretraining.pseudo_likelihood import log_pseudo_likelihood
from nnpipe.pretraining.samplers.contrastive import Contrastive
from nnpipe.pretraining.samplers.parallel_tempering import ParallelTempering
from nnpipe.pretraining.samplers.persistent import Persistent
from nnpipe.pretraining.samplers.sampler import Sampler
from nnpipe.pretraining.sparsity import Sparsity
from nnpipe.pretraining.units.gaussian import Gaussian

Learner = Callable[..., ContrastiveDivergence]
DATA = np.random.default_rng(5).integers(0, 2, (10, 6)).astype(np.float32)


def seen(x: torch.Tensor) -> Visible:
    return Visible(tuple(x.shape[1:]), x.mean(0), x.std(0, correction=0), count=len(x), some=x)


@pytest.fixture
def learner(make_machine: Callable[..., BoltzmannMachine]) -> Learner:
    """Makes 6x5 machines with weights large enough that one Gibbs step is far from the model's distribution."""

    def make(sampler: Sampler | None = None, **options: Any) -> ContrastiveDivergence:
        machine = BoltzmannMachine(6, 5)
        objective = ContrastiveDivergence(machine, seen(torch.tensor(DATA)), 0, sampler, Rule(**options))
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


@pytest.mark.parametrize("sampler", [Persistent(5000), ParallelTempering(5000, 3)], ids=["pcd", "tempered"])
def test_persistent_chains_come_to_the_exact_gradient_by_single_steps(
    learner: Learner, distance: Callable[..., float], sampler: Sampler
) -> None:
    objective = learner(sampler)
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
    machine = ContrastiveDivergence(BoltzmannMachine(400, 200), Visible((400,), mean, mean), 1).module
    weight = machine.weight.detach()
    assert float(weight.std()) == pytest.approx(0.01, rel=0.02)
    assert abs(float(weight.mean())) < 1e-4
    assert not machine.bias.any()
    expected = torch.log(torch.tensor([0.001, 0.25, 0.5, 0.999]) / torch.tensor([0.999, 0.75, 0.5, 0.001]))
    torch.testing.assert_close(machine.visible_bias.detach()[:4], expected)


def test_measures_are_sums_over_the_batch(learner: Learner) -> None:
    objective, x = learner(), torch.tensor(DATA)
    machine = objective.module
    measures = objective.measure(x, None)
    reconstruction = machine.visible_probabilities(machine.hidden_probabilities(x))
    assert float(measures["reconstruction_error"]) == pytest.approx(((x - reconstruction) ** 2).sum().item())
    assert set(measures) - set(objective.gradient(x, None)) == {"free_energy_gap", "pseudo_likelihood"}


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
    ("sampler", "steps", "rate", "momentum", "updates", "short"),
    [
        (Contrastive(), 5, 0.1, 0.9, 1500, 0.35),
        (Persistent(300), 1, 0.1, 0.5, 3000, 0.35),
        (ParallelTempering(100, 5), 1, 0.2, 0.5, 4000, 0.05),
    ],
    ids=["cd-5", "pcd", "tempered"],
)
def test_bars_and_stripes_become_likely(
    sampler: Sampler, steps: int, rate: float, momentum: float, updates: int, short: float
) -> None:
    images = torch.tensor(bars_and_stripes(3))
    assert len(images) == 14
    objective = ContrastiveDivergence(BoltzmannMachine(9, 12), seen(images), 0, sampler, Rule(steps))
    optimizer = torch.optim.SGD(objective.module.parameters(), lr=rate, momentum=momentum)
    before = objective.module.log_likelihood(images).mean().item()
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 3 * (1 - update / updates))
        objective.gradient(images, None)
        optimizer.step()
    after = objective.module.log_likelihood(images).mean().item()
    most = -np.log(14)  # nothing is likelier on average than 14 equally likely images
    assert before < -6
    assert most - short < after <= most


@pytest.mark.parametrize(
    ("sampler", "finds"), [(Persistent(200), False), (ParallelTempering(200, 12), True)], ids=["pcd", "tempered"]
)
def test_tempered_chains_find_a_mode_that_single_chains_never_reach(sampler: Sampler, finds: bool) -> None:
    """All units on and all units off are equally likely, and everything between is not."""
    machine = BoltzmannMachine(8, 8)
    objective = ContrastiveDivergence(machine, seen(torch.full((1, 8), 0.5)), 0, sampler)
    with torch.no_grad():
        machine.weight.fill_(3.0)
        machine.bias.fill_(-12.0)
        machine.visible_bias.fill_(-12.0)
        machine.get_buffer("chains").fill_(0.0)
    x, on = torch.full((1, 8), 0.5), []
    for update in range(300):
        objective.gradient(x, None)
        if update >= 100 and machine.bias.grad is not None:
            on.append(float((machine.bias.grad + objective.represent(x).mean(0)).mean()))
    assert float(np.mean(on)) == pytest.approx(0.5 if finds else 0.0, abs=0.05)


def test_the_number_of_steps_goes_by_the_examples_that_were_seen(learner: Learner) -> None:
    class Noting(Contrastive):
        def draw(self, machine: Any, summed: Any, h: Any, steps: int, generator: Any) -> Any:
            noted.append(steps)
            return super().draw(machine, summed, h, steps, generator)

    noted: list[int] = []
    objective = learner(Noting(), steps=((0, 1), (1, 3), (2.5, 10)))  # 10 examples an epoch
    for _ in range(6):
        objective.gradient(torch.tensor(DATA[:5]), None)
    assert noted == [1, 1, 3, 3, 3, 10]
    assert int(objective.module.get_buffer("examples_seen")) == 30


def test_a_sparsity_target_pulls_bias_and_weights_by_the_difference_of_the_running_mean(learner: Learner) -> None:
    x = torch.tensor(DATA)
    plain, sparse = mean_gradient(learner(), x, 1), learner(sparsity=Sparsity(target=0.2, cost=0.5, decay=0.8))
    found = mean_gradient(sparse, x, 1)
    activity = 0.8 * 0.2 + 0.2 * sparse.represent(x).mean(0).numpy()
    pull = 0.5 * (activity - 0.2)
    np.testing.assert_allclose(found["bias"] - plain["bias"], pull, atol=1e-6)
    np.testing.assert_allclose(found["weight"] - plain["weight"], np.outer(pull, DATA.mean(0)), atol=1e-6)
    np.testing.assert_array_equal(found["visible_bias"], plain["visible_bias"])


def test_hidden_units_come_to_be_on_as_often_as_the_target_says() -> None:
    x = torch.rand(200, 12, generator=torch.Generator().manual_seed(0)).round()
    shares = []
    for sparsity in (None, Sparsity(target=0.05, cost=5.0)):
        objective = ContrastiveDivergence(BoltzmannMachine(12, 10), seen(x), 0, None, Rule(sparsity=sparsity))
        optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.1)
        for _ in range(500):
            objective.gradient(x, None)
            optimizer.step()
        shares.append(float(objective.represent(x).mean()))
    assert shares[0] > 0.2
    assert shares[1] == pytest.approx(0.05, abs=0.02)


def test_the_pseudo_likelihood_is_the_mean_of_what_single_units_tell(learner: Learner) -> None:
    machine = learner().module.double()
    x = torch.tensor(DATA).double()
    with torch.no_grad():
        summed = machine.hidden_input(x)
        estimates = [log_pseudo_likelihood(machine, x, summed, torch.full((10,), unit)) for unit in range(6)]
        expected = torch.zeros(10, dtype=torch.float64)
        for unit in range(6):
            flipped = x.clone()
            flipped[:, unit] = 1 - flipped[:, unit]
            both = torch.stack([machine.log_likelihood(x), machine.log_likelihood(flipped)])
            expected += both[0] - both.logsumexp(0)
    torch.testing.assert_close(torch.stack(estimates).mean(0), expected)


def test_examples_are_looked_at_in_one_unit_each_in_turn_however_they_come_in_batches(learner: Learner) -> None:
    x = torch.tensor(DATA)
    whole, parts = learner(), learner()
    once = float(whole.measure(x, None)["pseudo_likelihood"])
    twice = sum(float(parts.measure(part, None)["pseudo_likelihood"]) for part in (x[:4], x[4:]))
    assert once == pytest.approx(twice, rel=1e-5)


def test_the_gap_is_how_much_more_free_energy_unseen_examples_have(learner: Learner) -> None:
    objective = learner()
    machine, x = objective.module, 1 - torch.tensor(DATA)
    for _ in range(2):  # the free energy of the seen is found anew after each step
        gap = float(objective.measure(x, None)["free_energy_gap"]) / len(x)
        expected = machine.free_energy(x).mean() - machine.free_energy(torch.tensor(DATA)).mean()
        assert gap == pytest.approx(expected.item(), rel=1e-4)
        objective.gradient(x, None)
        with torch.no_grad():
            machine.weight.mul_(1.5)


@pytest.fixture
def noisy() -> torch.Tensor:
    """Two clouds in three dimensions: noise of deviation 0.3, 0.4 and 0.6 around two centres."""
    draw = torch.Generator().manual_seed(1)
    side = torch.rand(3000, 1, generator=draw).round() * 2 - 1
    return side * torch.tensor([1.0, 1.0, -1.0]) + torch.randn(3000, 3, generator=draw) * torch.tensor([0.3, 0.4, 0.6])


def gaussian(x: torch.Tensor, steps: int = 1, hidden: int = 1) -> ContrastiveDivergence:
    log_variance = torch.nn.Parameter(x.var(0).log())
    return ContrastiveDivergence(BoltzmannMachine(3, hidden, Gaussian(log_variance)), seen(x), 0, None, Rule(steps))


def test_many_steps_give_the_exact_gradient_of_gaussian_units_variances_too(noisy: torch.Tensor) -> None:
    objective = gaussian(noisy, steps=40, hidden=3)
    machine = objective.module
    with torch.no_grad():
        machine.weight.normal_(0, 0.4, generator=torch.Generator().manual_seed(2))
    found = mean_gradient(objective, noisy, 30)  # 90,000 chains
    machine.double().zero_grad()
    machine.log_likelihood(noisy.double()).mean().backward()
    assert set(found) == {"weight", "bias", "visible_bias", "log_variance"}
    variance = noisy.var(0).numpy()  # where the machine's starts
    found["weight"], found["visible_bias"] = found["weight"] * variance, found["visible_bias"] / variance
    for name, gradient in found.items():
        exact = machine.get_parameter(name).grad
        assert exact is not None
        np.testing.assert_allclose(gradient, -exact.numpy(), atol=0.03)


def test_learned_variances_come_to_the_noise_around_what_hidden_units_explain(noisy: torch.Tensor) -> None:
    objective = gaussian(noisy)
    optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.02, momentum=0.9)
    for _ in range(100):
        for batch in noisy.split(300):
            objective.gradient(batch, None)
            optimizer.step()
    assert objective.module.log_variance is not None
    deviation = (objective.module.log_variance / 2).exp().detach()
    np.testing.assert_allclose(deviation, [0.3, 0.4, 0.6], rtol=0.1)
