"""Scaled conjugate gradient: conjugate directions, and steps from curvature, not from line searches (Møller 1993)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class ScaledConjugateGradient(Optimizer):
    """Defaults are those of MATLAB's trainscg, whose epoch is one iteration with ``batch_size: full``.

    There everything goes on from epoch to epoch, and training ends by itself at a minimum. On batches it starts anew
    on each, so that one iteration is a step of steepest descent: several make it conjugate. trainscg's max_fail of 6
    is ``train.early_stopping: {patience: 6}`` here.
    """

    needs_value: ClassVar[bool] = True
    kind: Literal["scaled_conjugate_gradient"] = "scaled_conjugate_gradient"
    iterations: int = Field(1, ge=1, description="On each batch.")
    sigma: float = Field(5e-5, gt=0, description="Distance of the two gradients that tell the curvature.")
    damping: float = Field(5e-7, gt=0, description="The first lambda: what is added to the curvature.")
    min_grad: float = Field(1e-6, ge=0, description="End at a gradient no longer than this; full batches only.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from nnpipe.training.optimizers.scaled_cg import ScaledCG

        return ScaledCG(parameters, self.iterations, self.sigma, self.damping, self.min_grad)
