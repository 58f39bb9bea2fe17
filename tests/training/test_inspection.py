"""What is seen inside a network while it learns, against sums by hand; looking changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnpipe.training.classification import Classification
from nnpipe.training.inspection import NetworkInspector
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime

LAYERS = [
    {"kind": "dense", "units": 8, "activation": "relu"},
    {"kind": "dropout", "rate": 0.3},
    {"kind": "dense", "units": 6, "activation": "sigmoid"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]


def test_norms_and_activations_are_those_of_each_layer(network: Any, blobs: Any) -> None:
    layers = [layer for layer in LAYERS if layer["kind"] == "dense"]
    made, data = network(layers, (2,)), blobs()
    seen = NetworkInspector(made, Classification(made, CrossEntropy()), data).look()
    loss = torch.nn.functional.nll_loss(made(data.x).log(), data.y)
    gradient = torch.autograd.grad(loss, made.layers[1].weight)[0]
    hidden = made.activations(data.x)[1].detach()
    assert list(seen) == ["0", "1", "2"]
    assert seen["1"]["weight_norm"] == pytest.approx(float(made.layers[1].weight.detach().norm()), rel=1e-6)
    assert seen["1"]["gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert seen["1"]["activation_mean"] == pytest.approx(float(hidden.mean()), rel=1e-5)
    assert seen["1"]["activation_std"] == pytest.approx(float(hidden.std(correction=0)), rel=1e-5)
    assert "update_norm" not in seen["1"]


def test_saturated_and_dead_units_are_counted(network: Any, blobs: Any) -> None:
    made = network(LAYERS, (2,))
    with torch.no_grad():
        made.layers[0].bias[:2] = -100.0  # two of eight give nothing
        made.layers[2].bias[:3] = 100.0  # three of six give 1
        made.layers[2].weight[3:] = 0.0  # and three 0.5
    seen = NetworkInspector(made, Classification(made, CrossEntropy()), blobs()).look()
    assert seen["0"]["dead"] == pytest.approx(2 / 8)
    assert seen["2"]["saturated"] == pytest.approx(0.5)
    assert "dead" not in seen["2"]


def test_looking_changes_no_bit_of_training(network: Any, blobs: Any, watch: Any) -> None:
    found = []
    for looks in (False, True):
        made = network(LAYERS, (2,))
        objective = Classification(made, CrossEntropy())
        optimizer = Sgd(learning_rate=0.1).build(made.parameters())
        inspector = NetworkInspector(made, objective, blobs()) if looks else None
        history = fit(objective, optimizer, blobs(), None, Regime(2, 20), seed=0, watch=watch(), inspector=inspector)
        found.append((history.records[-1]["loss"], *(p.tolist() for p in made.parameters())))
    assert found[0] == found[1]
    assert len(history.inside) == 3  # before, and after each of two epochs
    assert history.inside[2]["0"]["update_norm"] > 0


def test_without_epochs_the_first_weights_are_looked_at_and_kept(network: Any, blobs: Any, watch: Any) -> None:
    made = network(LAYERS, (2,))
    before = [p.detach().clone() for p in made.parameters()]
    objective = Classification(made, CrossEntropy())
    optimizer = Sgd(learning_rate=0.1).build(made.parameters())
    inspector = NetworkInspector(made, objective, blobs())
    history = fit(objective, optimizer, blobs(), None, Regime(0), seed=0, watch=watch(), inspector=inspector)
    assert all(torch.equal(*pair) for pair in zip(before, made.parameters(), strict=True))
    assert (history.records, len(history.inside)) == ([], 1)


@pytest.mark.parametrize(
    ("limits", "reason", "epochs"),
    [({"goal": 0.5}, "goal", None), ({"goal": 0.0}, "epochs", 30), ({"time_limit": 1e-9}, "time", 1)],
)
def test_training_ends_for_a_named_reason(
    network: Any, blobs: Any, watch: Any, limits: dict[str, float], reason: str, epochs: int | None
) -> None:
    made = network(LAYERS, (2,))
    optimizer = Sgd(learning_rate=0.5).build(made.parameters())
    regime = Regime(30, 10, **limits)
    history = fit(Classification(made, CrossEntropy()), optimizer, blobs(), None, regime, seed=0, watch=watch())
    assert history.stopped == reason
    if epochs:
        assert len(history.records) == epochs
    else:
        losses = [record["loss"] for record in history.records]
        assert losses[-1] <= 0.5 < min(losses[:-1])
