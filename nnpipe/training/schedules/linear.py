"""A value that goes in a straight line."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpipe.training.schedules.schedule import Schedule


class Linear(Schedule):
    """From the base value to ``final`` times it at the end."""

    kind: Literal["linear"] = "linear"
    by: Literal["epoch", "step"] = "step"
    final: float = Field(0.0, ge=0, description="What is left at the end, as a part of the base value.")

    def at(self, base: float, time: float, epochs: float) -> float:
        return base * (1 + (self.final - 1) * min(time / epochs, 1))
