"""Parameters that stay as they are for some epochs, while the others learn to do with what they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Frozen:
    """``parameters`` do not change in the first ``epochs`` epochs: they have no gradient, and so no decay or momentum.

    Penalties and limits leave them alone. Running statistics, which are no parameters, go on.
    """

    epochs: int = 0
    parameters: tuple[nn.Parameter, ...] = ()

    def at(self, epoch: int) -> bool:
        """Whether they are frozen in ``epoch``, from 1 on."""
        return bool(self.parameters) and epoch <= self.epochs

    def set(self, epoch: int) -> None:
        """Freeze them, or let them go."""
        for parameter in self.parameters:
            parameter.requires_grad_(not self.at(epoch))

    def release(self) -> None:
        """Let them go, whatever the epoch."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)

    def begin(self, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        """``set`` before the first batch of an epoch, and tell the optimizer if they are learned from now on."""
        self.set(epoch)
        if self.parameters and epoch == self.epochs + 1:
            thawed: Callable[[], None] | None = getattr(optimizer, "thawed", None)
            if thawed:
                thawed()
