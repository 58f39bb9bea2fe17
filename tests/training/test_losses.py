"""Losses against NumPy and scikit-learn, their gradients against finite differences; which outputs they can take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics import hinge_loss, log_loss
from sklearn.utils.class_weight import compute_class_weight

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ShapeError
from nnpipe.spec import members
from nnpipe.training.classification import Classification
from nnpipe.training.losses import AnyLoss, AnyLossOrKind
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.loss import Loss, LossError, SumOfSquares
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.losses.outputs import check_outputs
from nnpipe.training.regression import Regression
from nnpipe.training.train import Train

NUMBERS = 0  # classes of a network that learns numbers
SMOOTH: dict[str, Any] = {"kind": "cross_entropy", "label_smoothing": 0.1}
WEIGHTED: dict[str, Any] = {"kind": "cross_entropy", "class_weights": [1.0, 2.0, 0.5]}
BOTH: dict[str, Any] = {"kind": "cross_entropy", "label_smoothing": 0.2, "class_weights": [0.5, 3.0]}
WORKING: list[tuple[Any, int, str, int]] = [  # loss, outputs, activation, classes
    ("cross_entropy", 3, "softmax", 3),
    ("cross_entropy", 2, "softmax", 2),
    ("cross_entropy", 1, "sigmoid", 2),
    (SMOOTH, 3, "softmax", 3),
    (WEIGHTED, 3, "softmax", 3),
    (BOTH, 1, "sigmoid", 2),
    ("mean_squared_error", 3, "softmax", 3),
    ("mean_squared_error", 3, "sigmoid", 3),
    ("mean_squared_error", 1, "sigmoid", 2),
    ("mean_squared_error", 2, "linear", NUMBERS),
    ("mean_squared_error", 1, "tanh", NUMBERS),
    ("binary_cross_entropy", 1, "sigmoid", 2),
    ("binary_cross_entropy", 3, "sigmoid", 3),
    ("mean_absolute_error", 3, "softmax", 3),
    ("mean_absolute_error", 2, "linear", NUMBERS),
    ({"kind": "huber", "delta": 0.3}, 2, "linear", NUMBERS),
    ("huber", 1, "sigmoid", 2),
    ("hinge", 3, "linear", 3),
    ("hinge", 1, "linear", 2),
]
FITTING = pytest.mark.parametrize(("loss", "outputs", "activation", "classes"), WORKING, ids=str)


def made_loss(document: Any) -> Loss:
    return TypeAdapter(AnyLossOrKind).validate_python(document)


def layers(outputs: int, activation: str) -> list[Any]:
    return [
        {"kind": "dense", "units": 4, "activation": "tanh"},
        {"kind": "dense", "units": outputs, "activation": activation},
    ]


def example(network: Any, outputs: int, activation: str, classes: int) -> tuple[Any, torch.Tensor, torch.Tensor]:
    made = network(layers(outputs, activation), (2,)).double()
    random = torch.Generator().manual_seed(2)
    x = torch.randn(8, 2, generator=random, dtype=torch.float64)
    numbers = torch.randn(8, outputs, generator=random, dtype=torch.float64)
    return made, x, torch.arange(8) % classes if classes else numbers


def by_hand(loss: Loss, outputs: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """The loss of the outputs after their activation, as its formula says."""
    targets = truth
    if classes:
        targets = np.eye(classes)[truth] if outputs.shape[1] > 1 else truth[:, None]
    apart = np.abs(outputs - targets)
    delta = getattr(loss, "delta", 1.0)
    formulas: dict[str, Callable[[], float]] = {
        "mean_squared_error": lambda: np.mean(apart**2),
        "mean_absolute_error": lambda: np.mean(apart),
        "huber": lambda: np.mean(np.where(apart <= delta, apart**2 / 2, delta * (apart - delta / 2))),
        "binary_cross_entropy": lambda: np.mean(-targets * np.log(outputs) - (1 - targets) * np.log(1 - outputs)),
        "hinge": lambda: hinge_loss(truth, outputs if classes > 2 else outputs[:, 0], labels=range(classes)),
        "cross_entropy": lambda: cross_entropy_by_hand(loss, outputs, truth, classes),
    }
    return float(formulas[loss.kind]())


def cross_entropy_by_hand(loss: Any, outputs: np.ndarray, truth: np.ndarray, classes: int) -> float:
    p = outputs if outputs.shape[1] > 1 else np.concatenate([1 - outputs, outputs], 1)
    q = (1 - loss.label_smoothing) * np.eye(classes)[truth] + loss.label_smoothing / classes
    weights = np.ones(classes) if loss.class_weights is None else np.array(loss.class_weights)
    return float(-(weights * q * np.log(p)).sum(1).mean())


@FITTING
def test_a_loss_is_what_its_formula_says(network: Any, loss: Any, outputs: int, activation: str, classes: int) -> None:
    made, x, y = example(network, outputs, activation, classes)
    computed = made_loss(loss).each(made, made.logits(x), y)
    expected = by_hand(made_loss(loss), made(x).detach().numpy(), y.numpy(), classes)
    assert computed.shape == (8,)
    assert computed.mean().item() == pytest.approx(expected, rel=1e-9)


def test_plain_cross_entropy_is_the_log_loss_of_scikit_learn(network: Any) -> None:
    made, x, y = example(network, 3, "softmax", 3)
    expected = log_loss(y.numpy(), made(x).detach().numpy())
    assert CrossEntropy().each(made, made.logits(x), y).mean().item() == pytest.approx(expected, rel=1e-9)


@FITTING
def test_the_gradient_of_a_loss_is_that_of_finite_differences(
    network: Any, loss: Any, outputs: int, activation: str, classes: int
) -> None:
    made, x, y = example(network, outputs, activation, classes)
    objective = (Classification if classes else Regression)(made, made_loss(loss))
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


@pytest.mark.parametrize(("outputs", "activation", "classes"), [(3, "softmax", 3), (1, "sigmoid", 2), (2, "linear", 0)])
def test_a_sum_of_squares_is_the_mean_of_its_squared_residuals(
    network: Any, outputs: int, activation: str, classes: int
) -> None:
    made, x, y = example(network, outputs, activation, classes)
    loss = MeanSquaredError()
    residuals = loss.residuals(made(x), y)
    assert isinstance(loss, SumOfSquares)
    assert residuals.shape == (8, outputs)
    assert residuals.square().mean().item() == pytest.approx(
        loss.each(made, made.logits(x), y).mean().item(), rel=1e-12
    )


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    truth = np.repeat([0, 1, 2], [5, 1, 14])
    loss = CrossEntropy(class_weights="balanced").resolved([5, 1, 14])
    assert loss.class_weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=truth))
    assert CrossEntropy().resolved([5, 1, 14]) == CrossEntropy()
    assert CrossEntropy(class_weights="balanced").resolved([2, 0, 4]).class_weights == pytest.approx((1.0, 1.0, 0.5))


def test_a_certain_mistake_has_a_finite_loss(network: Any) -> None:
    made = network([{"kind": "dense", "units": 3, "activation": "softmax"}], (2,))
    logits = torch.tensor([[1000.0, 0.0, 0.0]])
    assert CrossEntropy().each(made, logits, torch.tensor([1])).item() == 1000


def test_measures_are_sums_over_the_batch(network: Any) -> None:
    made, x, y = example(network, 3, "softmax", 3)
    objective = Classification(made, CrossEntropy())
    whole = objective.measure(x, y)
    parts = [objective.measure(x[i : i + 3], y[i : i + 3]) for i in range(0, 8, 3)]
    assert sum(p["loss"].item() for p in parts) == pytest.approx(whole["loss"].item())
    right = (made(x).argmax(1) == y).sum()
    assert sum(p["accuracy"] for p in parts) == whole["accuracy"] == right


def test_the_absolute_error_of_numbers_is_in_the_units_of_the_data(network: Any) -> None:
    from nnpipe.models.scaling import Scaling

    made, x, y = example(network, 2, "linear", NUMBERS)
    made.target_scaling = Scaling(offset=(5.0, -1.0), scale=(10.0, 0.5))
    error = Regression(made, MeanSquaredError()).measure(x, y)["mean_absolute_error"].item() / len(x)
    in_units = made.in_units(y).numpy()
    np.testing.assert_allclose(in_units, y.numpy() * [10, 0.5] + [5, -1])
    assert error == pytest.approx(np.abs(made.estimate(x).detach().numpy() - in_units).mean())


def test_gradients_of_two_batches_do_not_add_up(network: Any) -> None:
    made, x, y = example(network, 3, "softmax", 3)
    objective = Classification(made, CrossEntropy())
    objective.gradient(x, y)
    once = [p.grad.clone() for p in made.parameters()]
    objective.gradient(x, y)
    assert all(torch.equal(a, p.grad) for a, p in zip(once, made.parameters(), strict=True))


@FITTING
def test_outputs_that_fit_are_accepted(loss: Any, outputs: int, activation: str, classes: int) -> None:
    model = Model.model_validate({"layers": layers(outputs, activation)})
    check_outputs(model, (2,), made_loss(loss), classes, 0 if classes else outputs)


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
        ("huber", 3, "linear", 3, "needs probabilities from softmax or sigmoid"),
        ("hinge", 3, "softmax", 3, "needs margins from linear"),
        ("hinge", 1, "sigmoid", 2, "needs margins from linear"),
        ("mean_squared_error", 2, "softmax", NUMBERS, "needs numbers from anything but softmax"),
        ("mean_squared_error", 3, "linear", NUMBERS, "3 outputs for 2 targets"),
        ("huber", 1, "linear", NUMBERS, "1 output for 2 targets"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    loss: str, outputs: int, activation: str, classes: int, message: str
) -> None:
    model = Model.model_validate({"layers": layers(outputs, activation)})
    with pytest.raises(ShapeError, match=message) as caught:
        check_outputs(model, (2,), made_loss(loss), classes, 0 if classes else 2)
    assert caught.value.index == 1
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["cross_entropy", "binary_cross_entropy", "hinge"])
def test_losses_of_classes_are_refused_for_numbers(kind: str) -> None:
    model = Model.model_validate({"layers": layers(2, "linear")})
    with pytest.raises(LossError, match=f"{kind} is for classes") as caught:
        check_outputs(model, (2,), made_loss(kind), 0, 2)
    assert caught.value.hint == "set train.loss to mean_squared_error"


def test_class_weights_that_are_not_one_a_class_are_refused() -> None:
    model = Model.model_validate({"layers": layers(4, "softmax")})
    with pytest.raises(LossError, match="3 class_weights for 4 classes"):
        check_outputs(model, (2,), made_loss(WEIGHTED), 4)


def test_a_network_that_ends_with_images_is_refused() -> None:
    model = Model.model_validate({"layers": [{"kind": "conv2d", "filters": 3, "kernel": 2}]})
    with pytest.raises(ShapeError, match="ends with images"):
        check_outputs(model, (1, 5, 5), CrossEntropy(), 3)


def test_a_network_that_ends_with_dropout_is_refused() -> None:
    model = Model.model_validate({"layers": [*layers(3, "softmax"), {"kind": "dropout", "rate": 0.5}]})
    with pytest.raises(ShapeError, match="needs probabilities") as caught:
        check_outputs(model, (2,), CrossEntropy(), 3)
    assert caught.value.found == "a dropout layer"


@pytest.mark.parametrize("member", tuple(members(AnyLoss)), ids=lambda member: member().kind)
def test_a_loss_without_options_is_a_bare_word_in_a_spec_and_as_json(member: type[Loss]) -> None:
    train = Train.model_validate({"loss": member().kind})
    assert train.loss == member()
    assert train.model_dump(mode="json")["loss"] == member().kind


def test_a_loss_with_options_says_them_and_reads_back_the_same() -> None:
    train = Train.model_validate({"loss": SMOOTH})
    shown = train.model_dump(mode="json")
    assert shown["loss"] == {**SMOOTH, "class_weights": None}
    assert Train.model_validate(shown) == train
