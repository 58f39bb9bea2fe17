"""Penalties, limits and averages of weights, against torch and against sums by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.swa_utils import get_ema_avg_fn, get_swa_avg_fn

from nnpipe.training.averaging import Average, Ema, Swa
from nnpipe.training.batch import Batch
from nnpipe.training.classification import Classification
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.regularisation import Regularisation

LAYERS = [
    {"kind": "dense", "units": 8, "activation": "tanh"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]


def batch(network: Any, blobs: Any, regularisation: Regularisation) -> tuple[Any, Batch]:
    made, data = network(LAYERS, (2,)), blobs(40)
    return made, Batch(Classification(made, CrossEntropy()), data.x, data.y, regularisation)


def test_penalties_are_part_of_the_value_and_of_its_gradient(network: Any, blobs: Any) -> None:
    made, closure = batch(network, blobs, Regularisation(l1=0.03, l2=0.05))
    value = closure()
    weights = [made.layers[0].weight, made.layers[1].weight]
    loss = torch.nn.functional.nll_loss(made(closure.x).log(), closure.y)
    whole = loss + sum(0.03 * w.abs().sum() + 0.05 * w.square().sum() for w in weights)
    assert value is not None
    torch.testing.assert_close(value, whole.detach())
    for parameter, expected in zip(made.parameters(), torch.autograd.grad(whole, list(made.parameters())), strict=True):
        torch.testing.assert_close(parameter.grad, expected)
    torch.testing.assert_close(closure.measures["loss"] / 40, loss.detach())  # what is told is without them


def test_a_gradient_is_clipped_to_its_length_and_no_further(network: Any, blobs: Any) -> None:
    made, closure = batch(network, blobs, Regularisation())
    closure()
    free = torch.cat([p.grad.flatten() for p in made.parameters()])
    for limit in (0.01, 1000.0):
        made, closure = batch(network, blobs, Regularisation(clip_norm=limit))
        closure()
        clipped = torch.cat([p.grad.flatten() for p in made.parameters()])
        torch.testing.assert_close(clipped, free * min(1, limit / float(free.norm())))


def test_max_norm_shortens_the_incoming_weights_of_the_units_that_are_too_long(network: Any) -> None:
    layers = [{"kind": "conv2d", "filters": 5, "kernel": 3}, "flatten", LAYERS[1]]
    made = network(layers, (2, 4, 4))
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    with torch.no_grad():
        made.layers[0].weight[1] *= 50
        made.layers[0].bias.fill_(9.0)
    direction = before["layers.0.weight"][1] / before["layers.0.weight"][1].norm()
    Regularisation(max_norm=2.0).limit(made)
    assert torch.equal(made.layers[0].weight[0], before["layers.0.weight"][0])
    torch.testing.assert_close(made.layers[0].weight[1].detach(), 2 * direction)
    assert torch.equal(made.layers[0].bias, torch.full((5,), 9.0))


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averages_are_those_of_torch(kind: str) -> None:
    module = torch.nn.Linear(3, 2)
    averaging = Ema(decay=0.7) if kind == "ema" else Swa(start=0.5)
    average = Average(averaging, module)
    draw, expected, steps = torch.Generator().manual_seed(0), None, 0
    for number in range(1, 41):
        with torch.no_grad():
            module.weight.copy_(torch.randn(2, 3, generator=draw))
        average.add(number / 10, 4)
        if kind == "swa" and number <= 20:
            continue
        now = module.weight.detach().clone()
        if expected is None:
            expected = now
        elif kind == "swa":
            expected = get_swa_avg_fn()(expected, now, steps)
        else:
            expected = get_ema_avg_fn(min(0.7, (1 + steps) / (10 + steps)))(expected, now, steps)
        steps += 1
    assert expected is not None
    torch.testing.assert_close(average.tensors["weight"], expected)


def test_validation_measures_the_average_and_training_ends_with_it(network: Any, blobs: Any, watch: Any) -> None:
    made, held_out = network(LAYERS, (2,)), blobs(seed=1)
    objective = Classification(made, CrossEntropy())
    regime = Regime(3, 10, averaging=Ema(decay=0.9))
    history = fit(
        objective, Sgd(learning_rate=1.0).build(made.parameters()), blobs(), held_out, regime, seed=0, watch=watch()
    )
    measured = objective.measure(held_out.x, held_out.y)
    assert float(measured["loss"]) / len(held_out) == pytest.approx(history.records[-1]["val_loss"], rel=1e-6)


def test_an_average_that_has_not_begun_leaves_the_weights(network: Any, blobs: Any, watch: Any) -> None:
    found = []
    for averaging in (None, Swa(start=0.99)):
        made = network(LAYERS, (2,))
        regime = Regime(1, 50, averaging=averaging)  # the average is of the last step alone
        optimizer = Sgd(learning_rate=1.0).build(made.parameters())
        fit(Classification(made, CrossEntropy()), optimizer, blobs(), None, regime, seed=0, watch=watch())
        found.append(made.layers[0].weight.detach())
    torch.testing.assert_close(*found)
