"""The squared distance of outputs to what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import SumOfSquares, distance_activations, wanted_outputs

if TYPE_CHECKING:
    from torch import Tensor


class MeanSquaredError(SumOfSquares):
    """(output - target)^2, averaged over outputs; of classes the targets are 0 and 1."""

    needs_float32: ClassVar[bool] = True
    kind: Literal["mean_squared_error"] = "mean_squared_error"

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return distance_activations(outputs, classes)

    def residuals(self, outputs: Tensor, y: Tensor) -> Tensor:
        return outputs - wanted_outputs(outputs, y)
