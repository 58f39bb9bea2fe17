"""L-BFGS: quasi-Newton steps from the last few gradients (Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class Lbfgs(Optimizer):
    """torch's, with its line search for the strong Wolfe conditions; wants ``batch_size: full``.

    There what was learned of the curvature stays from epoch to epoch, and training ends by itself at a minimum; on
    batches it is forgotten after each.
    """

    needs_value: ClassVar[bool] = True
    kind: Literal["lbfgs"] = "lbfgs"
    iterations: int = Field(20, ge=1, description="Line searches on each batch.")
    history: int = Field(10, ge=1, description="Steps that the curvature is told from; each takes twice the weights.")
    min_grad: float = Field(1e-7, ge=0, description="End where no part of the gradient is larger; full batches only.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from nnpipe.training.optimizers.wolfe_lbfgs import WolfeLBFGS

        return WolfeLBFGS(parameters, self.iterations, self.history, self.min_grad)
