"""Every output a yes or no of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import Loss, wanted_outputs

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network


class BinaryCrossEntropy(Loss):
    """-log p of each output that should be 1 and -log(1 - p) of each other, averaged over outputs; from logits."""

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return ("sigmoid",) if classes else ()

    def activations_of_inputs(self) -> tuple[Activation, ...]:
        return ("sigmoid",)  # values from 0 to 1 are read as probabilities

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        from torch.nn import functional as F

        return F.binary_cross_entropy_with_logits(logits, wanted_outputs(logits, y), reduction="none").mean(1)
