"""Stopping when validation no longer improves (Prechelt 1998)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnpipe.spec import Part


class EarlyStopping(Part):
    """Stop after ``patience`` epochs without a better ``monitor``; the weights of the best epoch are kept."""

    patience: int = Field(ge=1, description="Epochs to wait for an improvement.")
    monitor: Literal["val_loss", "val_accuracy", "val_mean_absolute_error"] = Field(
        "val_loss", description="Accuracy is of classes, the absolute error of numbers; the loss is there for all."
    )

    def better(self, value: float, best: float | None) -> bool:
        """Whether ``value`` of the monitored measure beats ``best``, None before the first epoch."""
        if best is None:
            return True
        return value > best if self.monitor == "val_accuracy" else value < best

    def measured(self, classes: int | None) -> bool:
        """Whether training on so many classes measures ``monitor``; 0: on numbers, None: on inputs to give back."""
        if classes is None:
            return self.monitor == "val_loss"
        return self.monitor != ("val_mean_absolute_error" if classes else "val_accuracy")
