"""A line search for the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

DECREASE = 1e-4  # c1: the part of the slope's promise that a step must keep
EVALUATIONS = 20
LONGEST = 10.0  # how many times longer the next trial may be


@dataclass(frozen=True)
class Point:
    """The objective somewhere: its value, and its gradient, (parameters,)."""

    value: float
    gradient: Tensor


@dataclass(frozen=True)
class Trial:
    """A point on the line: how far out, and the slope there."""

    step: float
    point: Point
    slope: float

    @property
    def value(self) -> float:
        return self.point.value

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


def strong_wolfe(
    along: Callable[[float], Point], start: Point, direction: Tensor, trial: float, *, curvature: float
) -> tuple[float, Point] | None:
    """A step, and the point it leads to, where the value fell enough and the slope is small enough.

    along: the point at a step of the line. start: the point at 0. trial: the first step to try.
    curvature: c2, the part of the first slope that may remain.
    Where no such step is found within ``EVALUATIONS``, the best of those tried; None if none was better than 0.
    """
    zero = Trial(0.0, start, float(start.gradient.dot(direction)))
    search = _Search(along, zero, direction, curvature)
    found = search.run(trial)
    return (found.step, found.point) if found.step > 0 else None


class _Search:
    def __init__(self, along: Callable[[float], Point], zero: Trial, direction: Tensor, curvature: float) -> None:
        self.along, self.zero, self.direction, self.curvature = along, zero, direction, curvature
        self.best, self.left = zero, EVALUATIONS

    def run(self, step: float) -> Trial:
        """Algorithm 3.5: longer and longer steps until they bracket what is looked for."""
        last = self.zero
        while self.left:
            here = self._try(step)
            if not here.finite or self._too_high(here) or (last.step > 0 and here.value >= last.value):
                return self._zoom(last, here)
            if self._flat(here):
                return here
            if here.slope >= 0:
                return self._zoom(here, last)
            step, last = self._extrapolate(last, here), here
        return self.best

    def _zoom(self, low: Trial, high: Trial) -> Trial:
        """Algorithm 3.6: ``low`` is the better end of an interval that holds a step that satisfies both conditions."""
        while self.left and abs(high.step - low.step) > 1e-9 * max(low.step, high.step):
            here = self._try(self._between(low, high))
            if not here.finite or self._too_high(here) or here.value >= low.value:
                high = here
                continue
            if self._flat(here):
                return here
            if here.slope * (high.step - low.step) >= 0:
                high = low
            low = here
        return self.best

    def _try(self, step: float) -> Trial:
        self.left -= 1
        point = self.along(step)
        here = Trial(step, point, float(point.gradient.dot(self.direction)))
        if here.finite and here.value < self.best.value:
            self.best = here
        return here

    def _too_high(self, here: Trial) -> bool:
        return here.value > self.zero.value + DECREASE * here.step * self.zero.slope

    def _flat(self, here: Trial) -> bool:
        return abs(here.slope) <= -self.curvature * self.zero.slope

    def _extrapolate(self, last: Trial, here: Trial) -> float:
        """The cubic's minimum, if it lies beyond ``here`` and not too far."""
        guess = _cubic(last, here)
        if guess is None or guess <= here.step:
            return LONGEST * here.step
        return min(max(guess, 1.01 * here.step), LONGEST * here.step)

    def _between(self, low: Trial, high: Trial) -> float:
        """The cubic's minimum, kept off the ends of the interval, else its middle."""
        guess = _cubic(low, high) if high.finite else None
        width = high.step - low.step
        if guess is None:
            return low.step + width * (0.5 if high.finite else 0.1)
        near, far = sorted((low.step + 0.05 * width, high.step - 0.05 * width))
        return min(max(guess, near), far)


def _cubic(a: Trial, b: Trial) -> float | None:
    """Where the cubic through two values and slopes is smallest (Nocedal & Wright, equation 3.59)."""
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return None
    d2 = math.copysign(math.sqrt(square), b.step - a.step)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return None
    guess = b.step - (b.step - a.step) * (b.slope + d2 - d1) / divisor
    return guess if math.isfinite(guess) else None
