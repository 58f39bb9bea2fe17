"""Conjugate gradient on batches: a few line searches on each, as Hinton & Salakhutdinov (2006) fine-tuned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class ConjugateGradient(Optimizer):
    """``line_searches`` along conjugate directions on each batch; wants large ones (1,000 examples or more)."""

    needs_value: ClassVar[bool] = True
    kind: Literal["conjugate_gradient"] = "conjugate_gradient"
    line_searches: int = Field(3, ge=1, description="Line searches on each batch; directions start anew on the next.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from nnpipe.training.optimizers.nonlinear_cg import NonlinearCG

        return NonlinearCG(parameters, line_searches=self.line_searches)
