"""The gate that a network has to pass to become its spec's champion, as the spec says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from nnpipe.errors import nearest
from nnpipe.spec import Part, problem

# What networks can be compared by; the first one there is decides if a spec names none.
INPUTS = ("test_squared_error", "test_loss")
CLASSES = (
    "test_accuracy", "test_balanced_accuracy", "test_loss", "test_log_loss", "test_brier_score",
    "test_calibration_error", "test_roc_auc", "test_macro_precision", "test_macro_recall", "test_macro_f1",
    "test_weighted_precision", "test_weighted_recall", "test_weighted_f1",
)  # fmt: skip
NUMBERS = ("test_r2", "test_mean_absolute_error", "test_root_mean_squared_error", "test_loss")
SMALLER = frozenset(
    {
        *INPUTS,
        "test_log_loss",
        "test_brier_score",
        "test_calibration_error",
        "test_mean_absolute_error",
        "test_root_mean_squared_error",
    }
)  # of these, less is better


class Promote(Part):
    """When the network of a run becomes ``NAME/champion``: every criterion that is given has to be met."""

    metric: str | None = Field(
        None,
        description="What decides, as test_accuracy; of losses and errors, less is better. Left out: the accuracy of "
        "classes, the R2 of numbers, the squared error of an autoencoder.",
    )
    by: Literal["interval"] | Annotated[float, Field(ge=0)] = Field(
        "interval",
        description="How much better than the champion: interval, so much that a paired bootstrap tells it from "
        "chance (the 95 % interval of the difference lies above 0); or by more than this number.",
    )
    required: float | None = Field(
        None,
        description="What the metric has to reach, champion or not: at least this, or at most where less is better.",
    )
    worst_class: float | None = Field(
        None, ge=0, le=1, description="By how much the recall of any one class may be below the champion's."
    )
    latency_ms: float | None = Field(
        None, gt=0, description="Milliseconds that one example may take on the CPU: the median of many."
    )
    size_mb: float | None = Field(
        None, gt=0, description="Size that model.safetensors may have, in megabytes of 1,000,000 bytes."
    )

    def check(self, classes: int | None, *, unrolled: bool, top_k: int) -> None:
        """Refuse what cannot be measured of data with so many classes (0: numbers; None: only the data tell).

        Raises:
            PydanticCustomError: what is wrong; its path starts at the spec.
        """
        of_classes = (*CLASSES, f"test_top_{top_k}_accuracy")
        known = (
            INPUTS if unrolled else (*of_classes, *NUMBERS) if classes is None else of_classes if classes else NUMBERS
        )
        if self.metric is not None and self.metric not in known:
            raise problem(
                f"networks are not compared by {self.metric} here",
                path=("promote", "metric"),
                expected="one of " + ", ".join(dict.fromkeys(known)),
                found=self.metric,
                hint=nearest(self.metric, known),
            )
        if self.worst_class is not None and (unrolled or classes == 0):
            raise problem(
                "there are no classes to compare",
                path=("promote", "worst_class"),
                expected="a network that tells classes, or worst_class left out",
                found=str(self.worst_class),
            )

    def metric_of(self, measured: Mapping[str, float]) -> str:
        """The metric that decides, of those that were measured."""
        there = (name for name in (INPUTS[0], CLASSES[0], *NUMBERS) if name in measured)
        return self.metric or next(there, "test_loss")
