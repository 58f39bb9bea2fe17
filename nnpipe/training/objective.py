"""What a training loop makes small: a module, and the gradient of its objective on a batch of examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """What is learned: a module, and the gradient of its objective on a batch.

    generators: the random state it draws from; the loop keeps it in checkpoints.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def generators(self) -> Mapping[str, torch.Generator]: ...

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the module's parameters with the gradient of the batch's mean objective, in training mode.

        Returns measures summed over the batch, 0-d tensors without history; ``loss`` is the objective, if it has a
        value.
        """

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measures in evaluation mode; nothing is learned."""


class Inspector(Protocol):
    """Somebody who looks inside what is learned, before the first epoch and after each, and leaves it as it was."""

    def weights(self) -> dict[str, list[Tensor]]:
        """The weights of each layer as they are now, to be handed to ``look`` a step later."""

    def look(self, before: dict[str, list[Tensor]] | None = None) -> dict[str, dict[str, float]]:
        """Layer -> measures; of the last step too, where ``before`` says what was there before it."""


class LeastSquares(Objective, Protocol):
    """An objective that is the mean over a batch, and over outputs, of squared residuals."""

    def residuals(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor | None) -> Tensor:
        """(batch, outputs), of the module with ``parameters`` in place of its own, by their names in it.

        Those of an example depend on it alone. ``torch.func`` can take their derivatives and map over examples.
        """
