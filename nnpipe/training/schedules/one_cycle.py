"""A value that rises to the base value and falls to next to nothing (Smith & Topin 2018, section 3)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from nnpipe.training.schedules.schedule import Schedule


class OneCycle(Schedule):
    """Half a wave of the cosine up from ``start`` times the base value, then half a wave down to ``final`` times it."""

    kind: Literal["one_cycle"] = "one_cycle"
    by: Literal["epoch", "step"] = "step"
    start: float = Field(0.04, ge=0, description="The first value, as a part of the base value.")
    peak: float = Field(0.3, gt=0, lt=1, description="The part of all epochs after which the base value is reached.")
    final: float = Field(4e-6, ge=0, description="The last value, as a part of the base value.")

    def at(self, base: float, time: float, epochs: float) -> float:
        done = min(time / epochs, 1)
        if done < self.peak:
            return base * _between(self.start, 1, done / self.peak)
        return base * _between(1, self.final, (done - self.peak) / (1 - self.peak))


def _between(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
