"""AdamW: Adam whose weight decay is apart from the gradient (Loshchilov & Hutter 2019, algorithm 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.optimizers.adam import Decay
from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class AdamW(Optimizer):
    """Each step first takes ``learning_rate * weight_decay`` of every parameter, biases too. Defaults are torch's."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(0.001, gt=0)
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="Decay of the means of gradients and squares.")
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.01, ge=0)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from torch import optim

        return optim.AdamW(
            parameters,
            lr=self.learning_rate,
            betas=self.betas,
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=True,
        )
