"""Scaled conjugate gradient (Møller 1993, section 4, the algorithm's nine steps): no line searches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.training.optimizers.flat import FlatOptimizer, steady
from nnpipe.training.optimizers.wolfe import Point

GOOD, POOR = 0.75, 0.25  # how much of what the quadratic promised a step has to keep
LEAST_DAMPING = 1e-20  # at none, a curvature of 0 would stay one


class ScaledCG(FlatOptimizer):
    """Each ``step`` makes ``iterations`` of the algorithm, three gradients at most each; never a step up.

    The length of a step comes from the curvature along its direction, damped as in Levenberg-Marquardt where that is
    not positive or the last step promised too much. While the objective stays the same function, everything goes on
    from step to step; on batches it starts anew on each.

    sigma: how far apart the two gradients are that tell the curvature; at least what rounding asks for.
    damping: the first lambda. min_grad: the gradient's length at which there is nothing left to do.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        iterations: int = 1,
        sigma: float = 5e-5,
        damping: float = 5e-7,
        min_grad: float = 1e-6,
    ) -> None:
        options = {"iterations": iterations, "sigma": sigma, "damping": damping, "min_grad": min_grad}
        super().__init__(parameters, options)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make the closure's value small; it must be the same function of the weights at each call.

        Returns the value before the step.
        """
        if closure is None:
            raise TypeError("scaled conjugate gradient needs a closure that gives the loss")
        if not steady(closure):
            self.memory.clear()
        weights, reason = self.weights(), None
        here = start = self.evaluate(closure, weights)
        for _ in range(self.param_groups[0]["iterations"]):
            if float(here.gradient.norm()) <= self.param_groups[0]["min_grad"]:
                reason = "min_grad"
                break
            trial = self._trial(closure, weights, here)
            if torch.equal(trial, weights):
                reason = "no_descent"
                break
            there = self.evaluate(closure, trial)
            if self._judge(here, there):
                weights, here = trial, there
        self.assign(weights)
        self.stopped = reason if steady(closure) else None
        return start.value

    def _trial(self, closure: Callable[[], Any], weights: Tensor, here: Point) -> Tensor:
        """Steps 2 to 5: where the step along the direction leads.

        In memory are then its damped ``curvature``, and after a failure ``raised``: the damping already in that.
        """
        memory = self.memory
        memory.setdefault("damping", self.param_groups[0]["damping"])
        if "direction" not in memory or not float(here.gradient.dot(memory["direction"])) < 0:
            memory |= {"direction": -here.gradient, "directions": 1, "curvature": None, "raised": 0.0}
        direction: Tensor = memory["direction"]
        if memory["curvature"] is None:
            memory["curvature"] = self._curvature(closure, weights, here)
        square = float(direction.dot(direction))
        memory["curvature"] += (memory["damping"] - memory["raised"]) * square
        if memory["curvature"] <= 0:
            memory["raised"] = 2 * (memory["damping"] - memory["curvature"] / square)
            memory["curvature"] = memory["damping"] * square - memory["curvature"]
            memory["damping"] = memory["raised"]
        step = -float(here.gradient.dot(direction)) / float(memory["curvature"])
        return weights + step * direction

    def _curvature(self, closure: Callable[[], Any], weights: Tensor, here: Point) -> float:
        """Step 2: p' H p, from the gradients at both ends of a short piece of the direction p."""
        direction: Tensor = self.memory["direction"]
        # Shorter than this, the weights' own rounding would be seen (Nocedal & Wright 2006, section 8.1).
        rounding = math.sqrt(torch.finfo(weights.dtype).eps) * (1 + float(weights.norm()))
        sigma = max(float(self.param_groups[0]["sigma"]), rounding) / float(direction.norm())
        there = self.evaluate(closure, weights + sigma * direction)
        return float((there.gradient - here.gradient).dot(direction)) / sigma

    def _judge(self, here: Point, there: Point) -> bool:
        """Steps 6 to 8: whether the step is taken; the next direction, and its damping."""
        memory, direction = self.memory, self.memory["direction"]
        curvature, slope = memory["curvature"], -float(here.gradient.dot(direction))
        kept = 2 * curvature * (here.value - there.value) / slope**2
        kept = kept if math.isfinite(kept) else -1.0
        if kept >= 0:
            beta = float(there.gradient.dot(there.gradient - here.gradient)) / slope
            anew = memory["directions"] >= len(direction)
            memory["direction"] = -there.gradient if anew else beta * direction - there.gradient
            memory["directions"] = 1 if anew else memory["directions"] + 1
            memory |= {"curvature": None, "raised": 0.0}
        else:
            memory["raised"] = memory["damping"]
        if kept >= GOOD:
            memory["damping"] = max(memory["damping"] / 4, LEAST_DAMPING)
        elif kept < POOR:
            memory["damping"] += curvature * (1 - kept) / float(direction.dot(direction))
        return kept >= 0
