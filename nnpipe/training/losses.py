"""What a classifier is trained to make small, and which outputs each loss can be computed from.

Outputs are probabilities: one sigmoid unit that says how likely class 1 of two is, or one unit a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape, ShapeError, WeightedLayer, shown

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network

Loss = Literal["cross_entropy", "mean_squared_error", "binary_cross_entropy"]
Precision = Literal["float32", "bfloat16"]


def mean_loss(loss: Loss, network: Network, logits: Tensor, y: Tensor) -> Tensor:
    """The mean of ``loss`` over a batch. logits: (batch, outputs) of ``network``; y: (batch,) classes.

    cross_entropy: -log of the probability of the right class.
    binary_cross_entropy: every output a yes or no of its own, averaged over outputs.
    mean_squared_error: of probabilities to 0 and 1, averaged over outputs.
    Both entropies come from logits: a probability that rounds to 0 has no logarithm.
    """
    from torch.nn import functional as F

    if loss == "mean_squared_error":
        return F.mse_loss(network.outputs(logits), _targets(logits, y))
    if loss == "cross_entropy" and logits.shape[1] > 1:
        return F.cross_entropy(logits, y)
    return F.binary_cross_entropy_with_logits(logits, _targets(logits, y))


def _targets(logits: Tensor, y: Tensor) -> Tensor:
    """What outputs should be: (batch, 1) of 0 and 1 for one unit, else 1 at the right class and 0 elsewhere."""
    import torch

    if logits.shape[1] == 1:
        return y.to(logits.dtype).unsqueeze(1)
    return torch.zeros_like(logits).scatter_(1, y.unsqueeze(1), 1.0)


def check_outputs(model: Model, input_shape: Shape, loss: Loss, classes: int) -> None:
    """Refuse a network whose outputs ``loss`` cannot be computed from for ``classes`` classes.

    Raises:
        ShapeError: with the index of the last layer.
    """
    index, last = len(model.layers) - 1, model.layers[-1]
    shape = model.shapes(input_shape)[-1]
    wanted = f"{classes} outputs" + (" with softmax, or 1 output with sigmoid" if classes == 2 else "")
    if len(shape) != 1:
        raise ShapeError(
            "the network ends with images",
            expected=wanted,
            found=shown(shape),
            hint=f"end with {{kind: flatten}} and {{kind: dense, units: {classes}, activation: softmax}}",
            index=index,
        )
    if shape[0] != classes and not (shape[0] == 1 and classes == 2):
        raise ShapeError(
            f"{_count(shape[0], 'output')} for {_count(classes, 'class', 'es')}",
            expected=wanted,
            found=_count(shape[0], "output"),
            hint=f"set units of the last layer to {classes}",
            index=index,
        )
    activation = last.activation if isinstance(last, WeightedLayer) else "linear"
    allowed = _activations(loss, shape[0])
    if activation not in allowed:
        raise ShapeError(
            f"{loss} of {_count(shape[0], 'output')} needs probabilities from {' or '.join(allowed)}",
            expected=f"activation {' or '.join(allowed)} in the last layer",
            found=activation if isinstance(last, WeightedLayer) else f"a {last.kind} layer",
            hint=_hint(loss, shape[0], activation),
            index=index,
        )


def _activations(loss: Loss, outputs: int) -> list[str]:
    if outputs == 1 or loss == "binary_cross_entropy":
        return ["sigmoid"]
    return ["softmax"] if loss == "cross_entropy" else ["softmax", "sigmoid"]


def _hint(loss: Loss, outputs: int, activation: str) -> str:
    if outputs == 1 and activation == "softmax":
        return "softmax over one unit is always 1"
    if loss == "binary_cross_entropy" and activation == "softmax":
        return "the loss for softmax outputs is cross_entropy"
    if loss == "cross_entropy" and activation == "sigmoid":
        return "the loss for several sigmoid outputs is binary_cross_entropy"
    return f"end with {{kind: dense, units: {outputs}, activation: {_activations(loss, outputs)[0]}}}"


def _count(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"
