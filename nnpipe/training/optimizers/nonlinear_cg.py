"""Nonlinear conjugate gradient, Polak-Ribière+ (Nocedal & Wright 2006, algorithm 5.4 with equation 5.45)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from nnpipe.training.optimizers.flat import FlatOptimizer, steady
from nnpipe.training.optimizers.wolfe import Point, strong_wolfe


class NonlinearCG(FlatOptimizer):
    """Each ``step`` makes ``line_searches`` searches along conjugate directions.

    While the objective stays the same function, directions go on from step to step; on batches they start anew on each.
    They start anew, too, after as many as there are parameters, and where Polak & Ribière's factor is not positive.

    curvature: c2 of the strong Wolfe conditions; 0.1 suits conjugate directions (Nocedal & Wright, section 3.1).
    min_grad: the gradient's length at which there is nothing left to do.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], line_searches: int, curvature: float = 0.1, min_grad: float = 1e-10
    ) -> None:
        options = {"line_searches": line_searches, "curvature": curvature, "min_grad": min_grad}
        super().__init__(parameters, options)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make the closure's value small; it must be the same function of the weights at each call.

        Returns the value before the step.
        """
        if closure is None:
            raise TypeError("conjugate gradient needs a closure that gives the loss")
        if not steady(closure):
            self.memory.clear()
        weights, reason = self.weights(), None
        here = start = self.evaluate(closure, weights)
        for _ in range(self.param_groups[0]["line_searches"]):
            if float(here.gradient.norm()) <= self.param_groups[0]["min_grad"]:
                reason = "min_grad"
                break
            found = self._search(closure, weights, here)
            if found is not None:
                weights, here = found
            elif self.memory["directions"] == 1:
                reason = "no_descent"
                break
            else:
                self.memory.clear()
        self.assign(weights)
        self.stopped = reason if steady(closure) else None
        return start.value

    def _search(self, closure: Callable[[], Any], weights: Tensor, here: Point) -> tuple[Tensor, Point] | None:
        """The weights where one line search ends, and the objective there; None if it found nothing lower."""
        memory, group = self.memory, self.param_groups[0]
        direction = self._direction(here.gradient)
        slope = float(here.gradient.dot(direction))
        # First as long as a unit step at most; then as far as the last search went, slopes compared (3.60).
        travelled = memory.get("travelled")
        trial = min(1.0, 1 / float(here.gradient.abs().sum())) if travelled is None else travelled / slope

        def along(step: float) -> Point:
            return self.evaluate(closure, weights + step * direction)

        found = strong_wolfe(along, here, direction, trial, curvature=group["curvature"])
        if found is None:
            return None
        step, there = found
        memory |= {"gradient": here.gradient, "direction": direction, "travelled": step * slope}
        return weights + step * direction, there

    def _direction(self, gradient: Tensor) -> Tensor:
        """The next conjugate direction, or the steepest descent where they start anew."""
        memory = self.memory
        if "direction" in memory and memory["directions"] < len(gradient):
            old = memory["gradient"]
            beta = float(gradient.dot(gradient - old) / old.dot(old))
            direction: Tensor = beta * memory["direction"] - gradient
            if beta > 0 and float(gradient.dot(direction)) < 0:
                memory["directions"] += 1
                return direction
        memory["directions"] = 1
        return -gradient
