"""Measures of predicted numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from nnpipe.evaluation.bootstrap import intervals
from nnpipe.evaluation.measured import LISTED, Measured
from nnpipe.evaluation.resampling import RegressionStatistic


def measure_regression(
    truth: np.ndarray, predicted: np.ndarray, losses: np.ndarray, target_names: Sequence[str], *, seed: int = 0
) -> Measured:
    """Single numbers, averaged over targets, their intervals, and what is told target by target and by example.

    truth, predicted: (n, targets) float32 in the data's units; losses: (n,), the loss of each example.
    R2, the share of the variance that is explained, needs targets that differ from example to example; else there is
    none.
    """
    errors = predicted.astype(np.float64) - truth
    columns: dict[str, Any] = {
        "mean_absolute_error": metrics.mean_absolute_error(truth, predicted, multioutput="raw_values"),
        "root_mean_squared_error": metrics.root_mean_squared_error(truth, predicted, multioutput="raw_values"),
    }
    if (truth.min(axis=0) < truth.max(axis=0)).all():
        columns = {"r2": metrics.r2_score(truth, predicted, multioutput="raw_values"), **columns}
    single = {"test_loss": float(losses.mean(dtype=np.float64))}
    single |= {f"test_{name}": float(np.mean(values)) for name, values in columns.items()}
    rows = [
        {"name": target, **{name: float(values[index]) for name, values in columns.items()}}
        for index, target in enumerate(target_names)
    ]
    statistic = RegressionStatistic(truth, predicted, losses)
    found = intervals(statistic, statistic.names, len(truth), seed)
    details = {"per_target": rows, "largest_errors": _largest(truth, predicted, errors)}
    return Measured(single, {name: found[name] for name in single if name in found}, details)


def _largest(truth: np.ndarray, predicted: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    """The examples furthest from the truth, each target measured by its spread; ``index``: from 0."""
    spread = truth.std(axis=0, dtype=np.float64)
    apart = np.square(errors / np.where(spread > 0, spread, 1)).sum(axis=1)
    return [
        {"index": int(index), "truth": truth[index].tolist(), "predicted": predicted[index].tolist()}
        for index in np.argsort(-apart, kind="stable")[:LISTED]
    ]
