"""The same value throughout, after a warm-up if there is one."""

from __future__ import annotations

from typing import Literal

from nnpipe.training.schedules.schedule import Schedule


class Constant(Schedule):
    """The base value."""

    kind: Literal["constant"] = "constant"

    def at(self, base: float, time: float, epochs: float) -> float:
        return base
