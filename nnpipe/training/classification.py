"""The objective of supervised training: a loss of the network's outputs, and how often its class is right."""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.models.network import Network, classify
from nnpipe.training.losses import Loss, Precision, mean_loss


class Classification:
    """An ``Objective`` that fits ``module`` to labels; measures ``loss`` and ``accuracy``.

    precision: of the sums in training; weights, losses and validation are float32 always.
    """

    def __init__(self, network: Network, loss: Loss, precision: Precision = "float32") -> None:
        self.module, self.loss, self.precision = network, loss, precision
        self.generators = network.generators()

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Backpropagation of the batch's mean loss. x: (batch, *input_shape), y: (batch,) classes."""
        self.module.train()
        self.module.zero_grad()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits = self.module.logits(x)
        logits = logits.to(x.dtype)
        loss = mean_loss(self.loss, self.module, logits, labels(y))
        loss.backward()  # type: ignore[no-untyped-call]
        return summed(loss, logits, labels(y))

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.eval()
        logits = self.module.logits(x)
        return summed(mean_loss(self.loss, self.module, logits, labels(y)), logits, labels(y))


def summed(loss: Tensor, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Measures summed over a batch, without their history."""
    with torch.no_grad():
        return {"loss": loss.detach() * len(y), "accuracy": (classify(logits) == y).sum()}


def labels(y: Tensor | None) -> Tensor:
    """The labels, which supervised training cannot do without."""
    if y is None:
        raise TypeError("supervised training needs labels")
    return y
