"""The objective of supervised training: a loss of the network's outputs, and how often its class is right."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

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

    def residuals(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor | None) -> Tensor:
        """Outputs less what they should be, (batch, outputs), of the network with ``parameters``; see ``LeastSquares``.

        Raises:
            TypeError: the loss is no mean of squares.
        """
        if self.loss != "mean_squared_error":
            raise TypeError(f"{self.loss} has no residuals")
        outputs: Tensor = functional_call(self.module, dict(parameters), (x,))
        wanted = labels(y).unsqueeze(1)
        if outputs.shape[1] > 1:
            wanted = wanted == torch.arange(outputs.shape[1], device=wanted.device)
        return outputs - wanted.to(outputs.dtype)


def summed(loss: Tensor, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Measures summed over a batch, without their history."""
    with torch.no_grad():
        return {"loss": loss.detach() * len(y), "accuracy": (classify(logits) == y).sum()}


def labels(y: Tensor | None) -> Tensor:
    """The labels, which supervised training cannot do without."""
    if y is None:
        raise TypeError("supervised training needs labels")
    return y
