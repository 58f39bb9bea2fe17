"""RMSProp: steps divided by a running root mean square of gradients (Tieleman & Hinton 2012, lecture 6.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class RmsProp(Optimizer):
    """Defaults are Keras's: decay 0.9, epsilon 1e-7."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: float = Field(0.001, gt=0)
    decay: float = Field(0.9, ge=0, lt=1, description="Of the running mean of squared gradients.")
    momentum: float = Field(0.0, ge=0, lt=1)
    epsilon: float = Field(1e-7, gt=0)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from torch import optim

        return optim.RMSprop(
            parameters, lr=self.learning_rate, alpha=self.decay, momentum=self.momentum, eps=self.epsilon, foreach=True
        )
