"""A value that falls as half a wave of the cosine (Loshchilov & Hutter 2017, equation 5)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from nnpipe.training.schedules.schedule import Schedule


class Cosine(Schedule):
    """From the base value to ``final`` times it at the end."""

    kind: Literal["cosine"] = "cosine"
    by: Literal["epoch", "step"] = "step"
    final: float = Field(0.0, ge=0, description="What is left at the end, as a part of the base value.")

    def at(self, base: float, time: float, epochs: float) -> float:
        return base * (self.final + (1 - self.final) * (1 + math.cos(math.pi * min(time / epochs, 1))) / 2)
