"""What every schedule offers: a quantity of the optimizer as a function of time, which is counted in epochs."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

from pydantic import Field

from nnpipe.spec import Part


class Schedule(Part):
    """How a quantity goes. It depends on the time alone, so that a resumed run has the same.

    by: step sets it anew before each batch, epoch before each epoch.
    warmup: epochs in which it grows in a straight line from nothing; what is scheduled begins after them.
    """

    kind: str
    by: Literal["epoch", "step"] = Field("epoch", description="Whether it changes with each batch or each epoch.")
    warmup: float = Field(0, ge=0, description="Epochs in which it grows from nothing; the rest follows after them.")

    def value(self, base: float, time: float, step: float, epochs: int) -> float:
        """The quantity in the batch that begins at ``time``.

        base: as the optimizer says it. time: epochs since the beginning. step: how long the batch is, in epochs.
        epochs: of the whole training.
        """
        if time < self.warmup:
            return base * min(1.0, (time + step) / self.warmup)
        now = time if self.by == "step" else math.floor(time + 1e-9)
        whole = max(epochs - self.warmup, 1e-9)
        return self.at(base, max(now - self.warmup, 0.0), whole)

    @abstractmethod
    def at(self, base: float, time: float, epochs: float) -> float:
        """The quantity at ``time`` of ``epochs``, both counted from the end of the warm-up."""
