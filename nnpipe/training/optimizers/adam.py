"""Adam: steps scaled by running means of gradients and of their squares (Kingma & Ba 2015, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn

Decay = Annotated[float, Field(ge=0, lt=1)]


class Adam(Optimizer):
    """Defaults are Keras's, as in the lecture: epsilon 1e-7, where the paper and torch have 1e-8."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(0.001, gt=0)
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="Decay of the means of gradients and squares.")
    epsilon: float = Field(1e-7, gt=0)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from torch import optim

        return optim.Adam(parameters, lr=self.learning_rate, betas=self.betas, eps=self.epsilon, fused=True)
