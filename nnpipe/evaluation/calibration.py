"""Whether a probability of 0.8 is right four times in five: expected calibration error and the table behind it.

Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each probability, (examples,): equally wide ones from 0 to 1, each with its upper end."""
    bins: np.ndarray = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    return bins


def calibration_table(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """One row a bin: its ends, how many examples it holds, their mean probability, and how often they are right.

    confidence: (examples,), the probability of the predicted class; right: (examples,) bool. An empty bin has no means.
    """
    bins = bins_of(confidence)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, values, minlength=BINS) for values in (confidence, right))
    mean, share = (total / np.maximum(counts, 1) for total in sums)
    return [
        {
            "low": index / BINS,
            "high": (index + 1) / BINS,
            "examples": int(count),
            "confidence": float(mean[index]) if count else None,
            "accuracy": float(share[index]) if count else None,
        }
        for index, count in enumerate(counts)
    ]


def calibration_error(table: list[dict[str, Any]]) -> float:
    """The distance of probability and accuracy, averaged over examples."""
    total = sum(row["examples"] for row in table)
    apart = (row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in table if row["examples"])
    return float(sum(apart) / total)
