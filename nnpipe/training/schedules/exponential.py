"""A value that falls by the same factor in each epoch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpipe.training.schedules.schedule import Schedule


class Exponential(Schedule):
    """base decay^time."""

    kind: Literal["exponential"] = "exponential"
    decay: float = Field(gt=0, description="What the value is multiplied by in each epoch.")

    def at(self, base: float, time: float, epochs: float) -> float:
        return float(base * self.decay**time)
