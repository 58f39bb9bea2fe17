"""Measures of numbers against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from nnpipe.evaluation.measured import Measured
from nnpipe.evaluation.regression import measure_regression
from nnpipe.evaluation.resampling import RegressionStatistic

RNG = np.random.default_rng(0)
TRUTH = (RNG.normal(size=(200, 2)) * [3, 0.1] + [1000, 0]).astype(np.float32)
PREDICTED = (TRUTH + RNG.normal(size=(200, 2)) * [1, 0.02]).astype(np.float32)
LOSSES = RNG.random(200)


def measured(truth: np.ndarray = TRUTH, predicted: np.ndarray = PREDICTED) -> Measured:
    return measure_regression(truth, predicted, LOSSES[: len(truth)], ["long", "short"])


def test_measures_are_those_of_scikit_learn() -> None:
    expected = {
        "test_loss": LOSSES.mean(),
        "test_r2": metrics.r2_score(TRUTH, PREDICTED),
        "test_mean_absolute_error": metrics.mean_absolute_error(TRUTH, PREDICTED),
        "test_root_mean_squared_error": metrics.root_mean_squared_error(TRUTH, PREDICTED),
    }
    found = measured()
    assert found.metrics == pytest.approx(expected, rel=1e-5)
    assert [row["name"] for row in found.details["per_target"]] == ["long", "short"]
    assert found.details["per_target"][1]["r2"] == pytest.approx(
        metrics.r2_score(TRUTH[:, 1], PREDICTED[:, 1]), rel=1e-5
    )


def test_the_statistic_of_the_bootstrap_of_every_example_once_is_the_measure() -> None:
    values = RegressionStatistic(TRUTH, PREDICTED, LOSSES)(np.ones(200))
    found = measured()
    assert dict(zip(RegressionStatistic.names, values, strict=True)) == pytest.approx(found.metrics, rel=1e-5)
    for name, (low, high) in found.intervals.items():
        assert low < found.metrics[name] < high


def test_the_largest_errors_are_judged_by_the_spread_of_each_target() -> None:
    predicted = TRUTH.copy()
    predicted[17, 0] += 5  # less than twice the spread
    predicted[42, 1] += 1  # ten times the spread
    listed = measured(predicted=predicted).details["largest_errors"]
    assert [row["index"] for row in listed[:2]] == [42, 17]
    assert listed[0]["truth"] == TRUTH[42].tolist()


def test_a_target_that_never_changes_has_no_variance_to_explain() -> None:
    truth = TRUTH.copy()
    truth[:, 1] = 4
    found = measured(truth)
    assert "test_r2" not in found.metrics
    assert set(found.intervals) == set(found.metrics)
