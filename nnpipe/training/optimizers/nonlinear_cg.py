"""Nonlinear conjugate gradient, Polak-Ribière+ (Nocedal & Wright 2006, algorithm 5.4 with equation 5.45)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.training.optimizers.wolfe import Point, strong_wolfe


class NonlinearCG(torch.optim.Optimizer):
    """Each ``step`` makes ``line_searches`` searches from the steepest descent on: it keeps no state between batches.

    curvature: c2 of the strong Wolfe conditions; 0.1 suits conjugate directions (Nocedal & Wright, section 3.1).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], line_searches: int, curvature: float = 0.1) -> None:
        super().__init__(parameters, {"line_searches": line_searches, "curvature": curvature})
        self._parameters: list[nn.Parameter] = [p for group in self.param_groups for p in group["params"]]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make the closure's value small; it must be the same function of the weights at each call.

        Returns the value before the step.
        """
        if closure is None:
            raise TypeError("conjugate gradient needs a closure that gives the loss")
        group = self.param_groups[0]
        weights = self._flat([p.detach() for p in self._parameters])
        here = start = self._evaluate(closure, weights)
        direction, length, fresh = -here.gradient, None, True
        for _ in range(group["line_searches"]):
            slope = float(here.gradient.dot(direction))
            if slope >= 0:
                direction, slope, fresh = -here.gradient, -float(here.gradient.dot(here.gradient)), True
            if slope == 0:
                break

            def along(step: float, origin: Tensor = weights, direction: Tensor = direction) -> Point:
                return self._evaluate(closure, origin + step * direction)

            # First as long as a unit step at most; then as far as the last search went, slopes compared (3.60).
            trial = min(1.0, 1 / float(here.gradient.abs().sum())) if length is None else length / slope
            found = strong_wolfe(along, here, direction, trial, curvature=group["curvature"])
            if found is None:
                if fresh:
                    break
                direction, length, fresh = -here.gradient, None, True
                continue
            step, there = found
            weights, length = weights + step * direction, step * slope
            beta = float(there.gradient.dot(there.gradient - here.gradient) / here.gradient.dot(here.gradient))
            direction, fresh = max(beta, 0.0) * direction - there.gradient, beta <= 0
            here = there
        self._assign(weights)
        return start.value

    def _evaluate(self, closure: Callable[[], Any], weights: Tensor) -> Point:
        self._assign(weights)
        with torch.enable_grad():
            value = closure()
        if value is None:
            raise TypeError("conjugate gradient needs an objective with a value")
        return Point(float(value), self._flat([p.grad for p in self._parameters if p.grad is not None]))

    def _flat(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])

    @torch.no_grad()
    def _assign(self, weights: Tensor) -> None:
        sizes = [p.numel() for p in self._parameters]
        for parameter, values in zip(self._parameters, weights.split(sizes), strict=True):  # type: ignore[no-untyped-call]
            parameter.copy_(values.view_as(parameter))
