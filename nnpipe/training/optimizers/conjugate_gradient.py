"""Conjugate gradient: line searches along directions that do not undo each other (Polak & Ribière 1969)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class ConjugateGradient(Optimizer):
    """``line_searches`` along conjugate directions on each batch.

    With ``batch_size: full`` directions go on from epoch to epoch, and training ends by itself at a minimum. On
    batches, which should be large, they start anew on each, as Hinton & Salakhutdinov (2006) fine-tuned: 3 line
    searches on 1,000 examples. The max_fail of 6 of MATLAB's traincgp is ``train.early_stopping: {patience: 6}`` here.
    """

    needs_value: ClassVar[bool] = True
    kind: Literal["conjugate_gradient"] = "conjugate_gradient"
    line_searches: int = Field(3, ge=1, description="Line searches on each batch.")
    min_grad: float = Field(1e-10, ge=0, description="End at a gradient no longer than this; full batches only.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from nnpipe.training.optimizers.nonlinear_cg import NonlinearCG

        return NonlinearCG(parameters, self.line_searches, min_grad=self.min_grad)
