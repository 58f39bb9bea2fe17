"""Whether a network ends as its loss and the data's answers need: before anything is computed."""

from __future__ import annotations

from nnpipe.models.activations import Activation
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ActivatedLayer, Shape, ShapeError, shown
from nnpipe.training.losses.loss import Loss, LossError

NUMBERS = "mean_squared_error, mean_absolute_error or huber"


def check_outputs(model: Model, input_shape: Shape, loss: Loss, classes: int, targets: int = 0) -> None:
    """Refuse a network whose outputs ``loss`` cannot be computed from for ``classes`` classes, or else ``targets``.

    Two classes can be told by one output or by two.

    Raises:
        LossError: the loss is for other answers.
        ShapeError: the network ends otherwise; with the index of its last layer.
    """
    index, last = len(model.layers) - 1, model.layers[-1]
    shape = model.shapes(input_shape)[-1]
    usual = loss.activations(targets or classes, classes)
    if not usual:
        raise LossError(
            f"{loss.kind} is for classes, and the data's answers are numbers",
            expected=NUMBERS,
            found=loss.kind,
            hint="set train.loss to mean_squared_error",
        )
    loss.check(classes)
    wanted = _wanted(loss, usual[0], classes, targets)
    if len(shape) != 1:
        raise ShapeError(
            "the network ends with images",
            expected=wanted,
            found=shown(shape),
            hint=f"end with {{kind: flatten}} and {{kind: dense, units: {targets or classes}, activation: {usual[0]}}}",
            index=index,
        )
    if shape[0] != (targets or classes) and not (shape[0] == 1 and classes == 2):
        asked = _count(classes, "class", "es") if classes else _count(targets, "target")
        raise ShapeError(
            f"{_count(shape[0], 'output')} for {asked}",
            expected=wanted,
            found=_count(shape[0], "output"),
            hint=f"set units of the last layer to {targets or classes}",
            index=index,
        )
    activation, allowed = model.last_activation, loss.activations(shape[0], classes)
    if activation not in allowed:
        what = "numbers" if not classes else "margins" if allowed == ("linear",) else "probabilities"
        told = " or ".join(allowed) if classes else "anything but softmax"
        raise ShapeError(
            f"{loss.kind} of {_count(shape[0], 'output')} needs {what} from {told}",
            expected=f"activation {told} in the last layer",
            found=activation if isinstance(last, ActivatedLayer) else f"a {last.kind} layer",
            hint=_hint(loss, shape[0], activation, allowed, classes),
            index=index,
        )


def _wanted(loss: Loss, activation: Activation, classes: int, targets: int) -> str:
    if not classes:
        return f"{_count(targets, 'output')} with {activation}"
    alone = f", or 1 output with {loss.activations(1, 2)[0]}" if classes == 2 else ""
    return f"{classes} outputs with {activation}{alone}"


def _hint(loss: Loss, outputs: int, activation: str, allowed: tuple[Activation, ...], classes: int) -> str:
    if activation == "softmax" and not classes:
        return "softmax makes probabilities; end with activation: linear"
    if outputs == 1 and activation == "softmax":
        return "softmax over one unit is always 1"
    if loss.kind == "binary_cross_entropy" and activation == "softmax":
        return "the loss for softmax outputs is cross_entropy"
    if loss.kind == "cross_entropy" and activation == "sigmoid":
        return "the loss for several sigmoid outputs is binary_cross_entropy"
    return f"end with {{kind: dense, units: {outputs}, activation: {allowed[0]}}}"


def _count(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"
