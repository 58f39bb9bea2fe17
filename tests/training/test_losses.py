"""Losses against NumPy and scikit-learn, their gradients against finite differences; which outputs they can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ShapeError
from nnpipe.training.classification import Classification
from nnpipe.training.losses import Loss, check_outputs, mean_loss

WORKING: list[tuple[Loss, int, str]] = [  # loss, outputs, activation
    ("cross_entropy", 3, "softmax"),
    ("cross_entropy", 1, "sigmoid"),
    ("mean_squared_error", 3, "softmax"),
    ("mean_squared_error", 3, "sigmoid"),
    ("mean_squared_error", 1, "sigmoid"),
    ("binary_cross_entropy", 1, "sigmoid"),
    ("binary_cross_entropy", 3, "sigmoid"),
]


def layers(outputs: int, activation: str) -> list[Any]:
    return [
        {"kind": "dense", "units": 4, "activation": "tanh"},
        {"kind": "dense", "units": outputs, "activation": activation},
    ]


def example(network: Any, outputs: int, activation: str) -> tuple[Any, torch.Tensor, torch.Tensor]:
    made = network(layers(outputs, activation), (2,)).double()
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return made, x, torch.arange(8) % max(2, outputs)


@pytest.mark.parametrize(("loss", "outputs", "activation"), WORKING)
def test_a_loss_is_what_its_formula_says(network: Any, loss: Loss, outputs: int, activation: str) -> None:
    made, x, y = example(network, outputs, activation)
    p, truth = made(x).detach().numpy(), y.numpy()
    onehot = np.eye(outputs)[truth] if outputs > 1 else truth[:, None]
    if loss == "mean_squared_error":
        expected = np.mean((p - onehot) ** 2)
    elif loss == "binary_cross_entropy":
        expected = np.mean(-onehot * np.log(p) - (1 - onehot) * np.log(1 - p))
    else:
        expected = log_loss(truth, p if outputs > 1 else p[:, 0])
    assert mean_loss(loss, made, made.logits(x), y).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("loss", "outputs", "activation"), WORKING)
def test_the_gradient_of_a_loss_is_that_of_finite_differences(
    network: Any, loss: Loss, outputs: int, activation: str
) -> None:
    made, x, y = example(network, outputs, activation)
    objective = Classification(made, loss)
    objective.gradient(x, y)
    for parameter in made.parameters():
        gradient = parameter.grad.clone().reshape(-1)
        for place in range(gradient.numel()):
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.view(-1)[place] += step
                    values.append(objective.measure(x, y)["loss"].item() / len(x))
                    parameter.view(-1)[place] -= step
            assert gradient[place].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_a_certain_mistake_has_a_finite_loss(network: Any) -> None:
    made = network([{"kind": "dense", "units": 3, "activation": "softmax"}], (2,))
    logits = torch.tensor([[1000.0, 0.0, 0.0]])
    assert mean_loss("cross_entropy", made, logits, torch.tensor([1])).item() == 1000


def test_measures_are_sums_over_the_batch(network: Any) -> None:
    made, x, y = example(network, 3, "softmax")
    objective = Classification(made, "cross_entropy")
    whole = objective.measure(x, y)
    parts = [objective.measure(x[i : i + 3], y[i : i + 3]) for i in range(0, 8, 3)]
    assert sum(p["loss"].item() for p in parts) == pytest.approx(whole["loss"].item())
    right = (made(x).argmax(1) == y).sum()
    assert sum(p["accuracy"] for p in parts) == whole["accuracy"] == right


def test_gradients_of_two_batches_do_not_add_up(network: Any) -> None:
    made, x, y = example(network, 3, "softmax")
    objective = Classification(made, "cross_entropy")
    objective.gradient(x, y)
    once = [p.grad.clone() for p in made.parameters()]
    objective.gradient(x, y)
    assert all(torch.equal(a, p.grad) for a, p in zip(once, made.parameters(), strict=True))


@pytest.mark.parametrize(("loss", "outputs", "activation"), WORKING)
def test_outputs_that_fit_are_accepted(loss: Loss, outputs: int, activation: str) -> None:
    check_outputs(Model.model_validate({"layers": layers(outputs, activation)}), (2,), loss, max(2, outputs))


@pytest.mark.parametrize(
    ("loss", "outputs", "activation", "classes", "message"),
    [
        ("cross_entropy", 10, "softmax", 3, "10 outputs for 3 classes"),
        ("cross_entropy", 1, "sigmoid", 3, "1 output for 3 classes"),
        ("cross_entropy", 2, "softmax", 1, "2 outputs for 1 class"),
        ("cross_entropy", 1, "softmax", 2, "needs probabilities from sigmoid"),
        ("cross_entropy", 3, "sigmoid", 3, "needs probabilities from softmax"),
        ("cross_entropy", 3, "linear", 3, "needs probabilities from softmax"),
        ("binary_cross_entropy", 2, "softmax", 2, "needs probabilities from sigmoid"),
        ("mean_squared_error", 3, "tanh", 3, "needs probabilities from softmax or sigmoid"),
        ("mean_squared_error", 1, "softmax", 2, "needs probabilities from sigmoid"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    loss: Loss, outputs: int, activation: str, classes: int, message: str
) -> None:
    model = Model.model_validate({"layers": layers(outputs, activation)})
    with pytest.raises(ShapeError, match=message) as caught:
        check_outputs(model, (2,), loss, classes)
    assert caught.value.index == 1
    assert caught.value.hint


def test_a_network_that_ends_with_images_is_refused() -> None:
    model = Model.model_validate({"layers": [{"kind": "conv2d", "filters": 3, "kernel": 2}]})
    with pytest.raises(ShapeError, match="ends with images"):
        check_outputs(model, (1, 5, 5), "cross_entropy", 3)


def test_a_network_that_ends_with_dropout_is_refused() -> None:
    model = Model.model_validate({"layers": [*layers(3, "softmax"), {"kind": "dropout", "rate": 0.5}]})
    with pytest.raises(ShapeError, match="needs probabilities") as caught:
        check_outputs(model, (2,), "cross_entropy", 3)
    assert caught.value.found == "a dropout layer"
