"""Gradient descent on batches, with or without momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from nnpipe.spec import problem
from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class Sgd(Optimizer):
    """v = momentum v + gradient; weights -= learning_rate v. Nesterov's form: Sutskever et al. 2013, section 2."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = Field(0.01, gt=0, description="Step per batch, on the gradient of the batch's mean.")
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _check_nesterov(self) -> Sgd:
        if self.nesterov and self.momentum == 0:
            raise problem(
                "nesterov needs momentum", path=("nesterov",), expected="momentum greater than 0", found="momentum 0"
            )
        return self

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from nnpipe.training.optimizers.fused_sgd import FusedSGD

        return FusedSGD(parameters, lr=self.learning_rate, momentum=self.momentum, nesterov=self.nesterov, fused=True)
