"""Squared where it is small, absolute where it is large: smooth at the target, and outliers pull no more than others.

Huber (1964), "Robust estimation of a location parameter".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import Loss, distance_activations, wanted_outputs

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network


class Huber(Loss):
    """d^2 / 2 of a distance d up to ``delta``, delta (d - delta / 2) beyond, averaged over outputs."""

    needs_float32: ClassVar[bool] = True
    kind: Literal["huber"] = "huber"
    delta: float = Field(1.0, gt=0, description="The distance from which on errors count by size; in scaled units.")

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return distance_activations(outputs, classes)

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional as F

        outputs = network.outputs(logits)
        return F.huber_loss(outputs, wanted_outputs(outputs, y), reduction="none", delta=self.delta).mean(1)
