"""The distance of outputs to what they should be: outliers pull no more than others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import Loss, distance_activations, wanted_outputs

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network


class MeanAbsoluteError(Loss):
    """|output - target|, averaged over outputs; of classes the targets are 0 and 1."""

    needs_float32: ClassVar[bool] = True
    kind: Literal["mean_absolute_error"] = "mean_absolute_error"

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return distance_activations(outputs, classes)

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        outputs = network.outputs(logits)
        return (outputs - wanted_outputs(outputs, y)).abs().mean(1)
