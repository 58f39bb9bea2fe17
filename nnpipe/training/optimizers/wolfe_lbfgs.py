"""torch's L-BFGS, told when to forget, and telling when it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.training.optimizers.flat import steady

EVALUATIONS = 20  # for each line search, as in conjugate gradient
WIDTH = 1e-30  # of an interval in which a line search gives up: what rounds to nothing


class WolfeLBFGS(torch.optim.LBFGS):
    """Each ``step`` makes ``iterations``. While the objective stays the same function, the history goes on.

    stopped: why there is nothing left to do, or None.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], iterations: int, history: int, min_grad: float) -> None:
        super().__init__(
            parameters,
            max_iter=iterations,
            max_eval=EVALUATIONS * iterations,
            history_size=history,
            tolerance_grad=min_grad,
            tolerance_change=WIDTH,
            line_search_fn="strong_wolfe",
        )
        self.stopped: str | None = None

    def thawed(self) -> None:
        """Begin anew, as other parameters are learned from now on."""
        self.state.clear()

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Make the closure's value small; it must be the same function of the weights at each call.

        Returns the value before the step.
        """
        parameters: list[nn.Parameter] = [p for p in self.param_groups[0]["params"] if p.requires_grad]
        if not steady(closure):
            self.state.clear()
        largest: list[float] = []

        def evaluate() -> Any:
            value = closure()
            if value is None:
                raise TypeError("L-BFGS needs an objective with a value")
            gradients = [p.grad for p in parameters if p.grad is not None]
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.contiguous()  # torch flattens by views, which kernels do not have
            largest.append(max(float(gradient.abs().max()) for gradient in gradients))
            return value

        before = [p.detach().clone() for p in parameters]
        value = super().step(evaluate)  # type: ignore[no-untyped-call]
        self.stopped = self._reason(largest[0], before) if steady(closure) and math.isfinite(largest[0]) else None
        return value

    def _reason(self, gradient: float, before: list[Tensor]) -> str | None:
        group = self.param_groups[0]
        if gradient <= group["tolerance_grad"]:
            return "min_grad"
        moved = any(not torch.equal(p, old) for p, old in zip(group["params"], before, strict=True))
        return None if moved else "no_descent"
