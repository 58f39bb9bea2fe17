"""Minus the logarithm of the probability of the right class: what makes the labels most likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnpipe.models.activations import Activation
from nnpipe.training.losses.loss import Loss, LossError

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network

Weight = Annotated[float, Field(gt=0)]


class CrossEntropy(Loss):
    """-sum over classes k of weight_k q_k log p_k, from logits: a probability that rounds to 0 has no logarithm.

    q is 1 - label_smoothing at the right class and what is left is spread evenly over all (Szegedy, Vanhoucke, Ioffe,
    Shlens & Wojna 2016, section 7). The mean is over examples, whatever they weigh.
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="How much probability is taken from the right class.")
    class_weights: tuple[Weight, ...] | Literal["balanced"] | None = Field(
        None, description="One a class; balanced: examples / (classes * examples of the class), of those to train on."
    )

    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        return (("sigmoid",) if outputs == 1 else ("softmax",)) if classes else ()

    def check(self, classes: int) -> None:
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != classes:
            raise LossError(
                f"{len(self.class_weights)} class_weights for {classes} classes",
                expected=f"{classes} numbers, or balanced",
                found=f"{len(self.class_weights)} numbers",
            )

    def resolved(self, class_counts: Sequence[int]) -> CrossEntropy:
        if self.class_weights != "balanced":
            return self
        total, classes = sum(class_counts), len(class_counts)
        # A class without training examples never weighs anything while training.
        weights = tuple(total / (classes * count) if count else 1.0 for count in class_counts)
        return self.model_copy(update={"class_weights": weights})

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        import torch
        from torch.nn import functional as F

        if logits.shape[1] == 1:  # a sigmoid is a softmax over itself and 0
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
        return F.cross_entropy(logits, y, weights, reduction="none", label_smoothing=self.label_smoothing)
