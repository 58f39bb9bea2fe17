"""The loss of support vector machines: how far the right class is from leading by 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network


class Hinge(Loss):
    """max(0, 1 + largest output of another class - output of the right one): Crammer & Singer (2001), section 3.

    Of one output for two classes max(0, 1 - s output), s = -1 or 1. Outputs are margins, not probabilities.
    """

    kind: Literal["hinge"] = "hinge"

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return ("linear",) if classes else ()

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            return (1 - (2 * y - 1) * logits[:, 0]).clamp(min=0)
        right = y.unsqueeze(1)
        others = logits.scatter(1, right, -float("inf")).amax(1)
        return (1 + others - logits.gather(1, right).squeeze(1)).clamp(min=0)
