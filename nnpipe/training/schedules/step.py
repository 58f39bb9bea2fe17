"""A value that drops by a factor every few epochs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpipe.training.schedules.schedule import Schedule


class Step(Schedule):
    """base factor^(time // every)."""

    kind: Literal["step"] = "step"
    every: float = Field(gt=0, description="Epochs between two drops.")
    factor: float = Field(0.1, gt=0, description="What the value is multiplied by at each.")

    def at(self, base: float, time: float, epochs: float) -> float:
        return base * self.factor ** int(time / self.every + 1e-9)
