"""The objective of supervised training: a loss of the network's outputs, and measures beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from nnpipe.models.network import Network
from nnpipe.models.share import whole_batch
from nnpipe.training.losses.loss import Loss, SumOfSquares
from nnpipe.training.precision import Precision, products_in


class Supervised(ABC):
    """An ``Objective`` that fits ``module`` to answers; measures ``loss`` and what the task adds.

    precision: of the sums in training; weights, losses and validation are float32 always.
    """

    def __init__(self, network: Network, loss: Loss, precision: Precision = "float32") -> None:
        self.module, self.loss, self.precision = network, loss, precision
        self.generators = network.generators()

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Backpropagation of the batch's mean loss, or of what our share of the batch adds to it.

        x: (batch, *input_shape); y: the answers, as for losses.
        """
        self.module.train()
        self.module.zero_grad()
        with products_in(self.precision, x.device.type):
            logits = self.module.logits(x)
        logits = logits.to(x.dtype)
        losses = self.loss.each(self.module, logits, answers(y))
        (losses.sum() / whole_batch(x)).backward()  # type: ignore[no-untyped-call]
        return self._summed(losses, logits, answers(y))

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.eval()
        logits = self.module.logits(x)
        return self._summed(self.loss.each(self.module, logits, answers(y)), logits, answers(y))

    def residuals(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor | None) -> Tensor:
        """The loss's residuals, (batch, outputs), of the network with ``parameters``; see ``LeastSquares``.

        Raises:
            TypeError: the loss is no mean of squares.
        """
        if not isinstance(self.loss, SumOfSquares):
            raise TypeError(f"{self.loss.kind} has no residuals")
        outputs: Tensor = functional_call(self.module, dict(parameters), (x,))
        return self.loss.residuals(outputs, answers(y))

    @abstractmethod
    def _measures(self, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
        """What is measured besides the loss, summed over a batch."""

    def _summed(self, losses: Tensor, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"loss": losses.detach().sum(), **self._measures(logits, y)}


def answers(y: Tensor | None) -> Tensor:
    """The labels or numbers, which supervised training cannot do without."""
    if y is None:
        raise TypeError("supervised training needs labels or numbers")
    return y
