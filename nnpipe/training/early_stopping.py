"""Stopping when validation no longer improves (Prechelt 1998)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpipe.spec import Part


class EarlyStopping(Part):
    """Stop after ``patience`` epochs without a better ``monitor``; the weights of the best epoch are kept."""

    patience: int = Field(ge=1, description="Epochs to wait for an improvement.")
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"

    def better(self, value: float, best: float | None) -> bool:
        """Whether ``value`` of the monitored measure beats ``best``, None before the first epoch."""
        if best is None:
            return True
        return value < best if self.monitor == "val_loss" else value > best
