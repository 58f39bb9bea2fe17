"""Machines as a spec says them: which units stand where, and that every pair of them learns and resumes."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nnpipe.errors import StageError
from nnpipe.models.activations import ActivationName, activation_function
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ShapeError
from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence
from nnpipe.pretraining.likelihood import Likelihood
from nnpipe.pretraining.objective import Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.examples import Examples


def seen(x: torch.Tensor) -> Visible:
    return Visible(tuple(x.shape[1:]), x.mean(0), x.std(0, correction=0), count=len(x), some=x)


def values(below: ActivationName | None, rows: int = 200) -> torch.Tensor:
    """What 9 units of a layer with this activation could give: three kinds of examples, blurred."""
    draw = torch.Generator().manual_seed(0)
    kind = torch.randint(3, (rows,), generator=draw)
    x = torch.eye(3)[kind].repeat_interleave(3, dim=1) * 3 - 1 + 0.5 * torch.randn(rows, 9, generator=draw)
    return activation_function(below or "sigmoid")(2 * x)


HIDDEN: list[ActivationName] = ["sigmoid", "linear", "relu", "softmax"]
BELOW: list[ActivationName | None] = [None, "sigmoid", "softmax", "relu", "tanh", "linear"]


@pytest.mark.parametrize("below", BELOW, ids=str)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_pair_of_units_learns_and_represents_as_the_layer_will(
    hidden: ActivationName, below: ActivationName | None
) -> None:
    x, layer = values(below), Dense(units=6, activation=hidden)
    method = Rbm(weight_decay=0.001)
    method.check(layer)
    objective = method.objective(layer, below, seen(x), 1)
    rate = 0.2 if below == "softmax" else 0.01  # of nine values that add up to 1 each is small
    optimizer = torch.optim.SGD(objective.module.parameters(), lr=rate, momentum=0.9)
    before = objective.measure(x, None)["reconstruction_error"].item()
    for _ in range(60):
        for batch in x.split(20):
            objective.gradient(batch, None)
            optimizer.step()
    assert objective.measure(x, None)["reconstruction_error"].item() < 0.9 * before
    weight, bias = objective.module.weight, objective.module.bias
    torch.testing.assert_close(objective.represent(x), activation_function(hidden)(x @ weight.T + bias).detach())


@pytest.mark.parametrize(
    ("below", "visible", "kind"),
    [
        (None, "auto", "bernoulli"),
        ("sigmoid", "auto", "bernoulli"),
        ("softmax", "auto", "softmax"),
        ("relu", "auto", "gaussian"),
        ("linear", "auto", "gaussian"),
        (None, "gaussian", "gaussian"),
        ("softmax", "bernoulli", "bernoulli"),
    ],
)
def test_visible_units_follow_from_what_is_below_unless_the_spec_says_which(
    below: ActivationName | None, visible: Any, kind: str
) -> None:
    method = Rbm(visible=visible)
    objective = method.objective(Dense(units=2, activation="sigmoid"), below, seen(values(below)), 0)
    assert type(objective.module.visible_units).__name__.lower() == kind
    assert method.reads_probabilities(below) == (kind != "gaussian")
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    if kind != "gaussian":  # whose values have a variance besides, which a way back has to know
        found = activation_function(method.visible_activation(below))(x)
        torch.testing.assert_close(found, objective.module.visible_units.mean(x))


def test_a_softmax_group_whose_values_do_not_add_up_to_1_is_refused() -> None:
    with pytest.raises(StageError, match="one group") as caught:
        Rbm(visible="softmax").objective(Dense(units=2, activation="sigmoid"), None, seen(values(None)), 0)
    assert caught.value.expected == "values of each example that add up to 1"


def test_gaussian_noise_is_the_data_s_own_and_no_unit_is_a_hundred_times_surer_than_others() -> None:
    deviation = torch.tensor([1.0, 0.5, 0.0, 1e-6])
    usual = float(deviation.square().mean().sqrt())
    expected = torch.tensor([1.0, 0.5, usual / 10, usual / 10]).square().log()
    sigmoid = Dense(units=2, activation="sigmoid")
    for variance in ("fixed", "learned"):
        method = Rbm.model_validate({"visible": "gaussian", "variance": variance})
        machine = method.objective(sigmoid, None, Visible((4,), torch.zeros(4), deviation), 0).module
        assert machine.log_variance is not None
        torch.testing.assert_close(machine.log_variance.detach(), expected)
        assert machine.learns_variance == (variance == "learned")
    still = Rbm(visible="gaussian").objective(sigmoid, None, Visible((4,), torch.zeros(4), torch.zeros(4)), 0)
    assert still.module.log_variance is not None
    assert not still.module.log_variance.any()


def test_gaussian_units_learn_the_same_whatever_their_values_are_measured_in() -> None:
    x, layer = values("linear"), Dense(units=6, activation="sigmoid")
    represented = []
    for scale in (1.0, 1000.0):
        objective = Rbm(weight_decay=0).objective(layer, "linear", seen(x * scale), 1)
        with torch.no_grad():
            objective.module.weight.div_(scale)  # first weights are of one size
        optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.01, momentum=0.9)
        for batch in x.split(20):
            objective.gradient(batch * scale, None)
            optimizer.step()
        represented.append(objective.represent(x * scale))
    torch.testing.assert_close(represented[0], represented[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "activation", "message"),
    [
        ({}, "tanh", "no hidden units with activation tanh"),
        ({"sparsity": {}}, "relu", "sparsity target is of binary units"),
        ({"likelihood": True}, "relu", "no energy to compare states by"),
        ({"sampler": "parallel_tempering"}, "relu", "no energy to compare states by"),
    ],
)
def test_what_hidden_units_cannot_do_is_refused_when_planning(
    method: dict[str, Any], activation: ActivationName, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        Rbm.model_validate(method).check(Dense(units=3, activation=activation))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"temperatures": 5}, "only parallel tempering has several temperatures"),
        ({"sampler": "parallel_tempering", "temperatures": 1}, "greater than or equal to 2"),
        ({"visible": "bernoulli", "variance": "learned"}, "only gaussian visible units have a variance"),
        ({"steps": [[5, 1], [0, 3]]}, "epochs that do not grow"),
        ({"steps": []}, "at least 1"),
        ({"steps": [[0, 0]]}, "greater than or equal to 1"),
        ({"sparsity": {"target": 1.0}}, "less than 1"),
        ({"likelihood": {"runs": 1}}, "greater than or equal to 2"),
    ],
)
def test_options_that_make_no_sense_are_refused(method: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Rbm.model_validate(method)


def test_likelihood_is_a_switch_or_its_options() -> None:
    assert Rbm().likelihood is None
    assert Rbm.model_validate({"likelihood": False}).likelihood is None
    assert Rbm.model_validate({"likelihood": True}).likelihood == Likelihood()
    chosen = Rbm.model_validate({"likelihood": {"runs": 20}})
    assert chosen.likelihood == Likelihood(runs=20, temperatures=1000)
    assert Rbm.model_validate(chosen.model_dump(mode="json")) == chosen


def test_rectified_units_have_no_measure_that_needs_a_free_energy() -> None:
    x = values(None)
    objective = Rbm().objective(Dense(units=6, activation="relu"), None, seen(x), 0)
    assert set(objective.gradient(x, None)) == set(objective.measure(x, None)) == {"reconstruction_error"}


def trained(units: int, **options: Any) -> tuple[ContrastiveDivergence, dict[str, Examples]]:
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(300, 24, generator=draw) < 0.3).float()
    x[:, 12:] = x[:, :12]
    objective = Rbm.model_validate(options).objective(Dense(units=units, activation="sigmoid"), None, seen(x[:200]), 3)
    optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.1)
    for _ in range(200):
        objective.gradient(x[:200], None)
        optimizer.step()
    return objective, {"train": Examples(x[:200]), "validation": Examples(x[200:])}


def test_the_likelihood_at_the_end_is_exact_where_a_side_is_small() -> None:
    objective, splits = trained(10, likelihood=True)
    found = objective.conclude(splits, Event())
    assert set(found) == {"log_partition", "train_log_likelihood", "validation_log_likelihood"}
    for split, examples in splits.items():
        expected = objective.module.log_likelihood(examples.rows(0, 300)[0]).mean().item()
        assert found[f"{split}_log_likelihood"] == pytest.approx(expected, abs=1e-4)


def test_the_likelihood_at_the_end_is_sampled_where_no_side_is_small() -> None:
    objective, splits = trained(22, likelihood={"runs": 50, "temperatures": 300})
    found = objective.conclude(splits, Event())
    assert found == objective.conclude(splits, Event())
    # Two more than can be enumerated at once: half the hidden states with the last two units each way.
    exact = np.logaddexp.reduce(_partitions(objective, 2))
    assert abs(found["log_partition"] - exact) < 3 * found["log_partition_standard_error"]
    free = objective.module.free_energy(splits["train"].x).mean().item()
    assert found["train_log_likelihood"] == pytest.approx(-free - found["log_partition"], abs=1e-4)


def _partitions(objective: ContrastiveDivergence, fixed: int) -> list[float]:
    """log of the parts of Z where the last ``fixed`` hidden units are in each of their states."""
    from itertools import product

    from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine

    whole = objective.module
    parts = []
    for states in product((0.0, 1.0), repeat=fixed):
        h = torch.tensor(states)
        part = BoltzmannMachine(24, 22 - fixed)
        with torch.no_grad():
            part.weight.copy_(whole.weight[:-fixed])
            part.bias.copy_(whole.bias[:-fixed])
            part.visible_bias.copy_(whole.visible_bias + h @ whole.weight[-fixed:])
            parts.append((part.log_partition() + h @ whole.bias[-fixed:]).item())
    return parts


def test_without_a_wish_for_it_there_is_no_likelihood() -> None:
    objective, splits = trained(4)
    assert objective.conclude(splits, Event()) == {}
