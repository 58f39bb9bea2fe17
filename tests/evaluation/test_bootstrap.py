"""Intervals against SciPy's bootstrap, which draws the same resamples from the same generator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, r2_score, roc_auc_score

from nnpipe.evaluation.bootstrap import intervals
from nnpipe.evaluation.resampling import ClassificationStatistic, RegressionStatistic
from nnpipe.evaluation.roc import RocArea

RESAMPLES = 300
SCORES = {
    "test_accuracy": accuracy_score,
    "test_balanced_accuracy": balanced_accuracy_score,
    "test_macro_f1": lambda truth, said: f1_score(truth, said, average="macro", zero_division=0),
}


def of_scipy(data: tuple[np.ndarray, ...], measure: object) -> tuple[float, float]:
    """The percentile interval of a measure of paired samples."""
    found = stats.bootstrap(
        data,
        measure,
        paired=True,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.Generator(np.random.PCG64(7)),
    )
    return found.confidence_interval.low, found.confidence_interval.high


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    found = intervals(lambda counts: np.array([counts @ values / counts.sum()]), ["mean"], 50, 7, RESAMPLES)
    assert found["mean"] == pytest.approx(of_scipy((values,), np.mean), rel=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_the_interval_of_a_measure_of_classes_is_that_of_scipy(name: str) -> None:
    rng = np.random.default_rng(1)
    truth, scores = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    predicted = scores.argmax(1)
    statistic = ClassificationStatistic(truth, scores, predicted, np.zeros(60), [name], 5)
    found = intervals(statistic, statistic.names, 60, 7, RESAMPLES)
    assert found[name] == pytest.approx(of_scipy((truth, predicted), SCORES[name]), rel=1e-12)


def test_the_interval_of_r2_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(40, 1)) + 100
    predicted = truth + rng.normal(size=(40, 1))
    found = intervals(RegressionStatistic(truth, predicted, np.zeros(40)), RegressionStatistic.names, 40, 7, RESAMPLES)
    assert found["test_r2"] == pytest.approx(of_scipy((truth[:, 0], predicted[:, 0]), r2_score), rel=1e-9)


def test_a_measure_without_any_value_has_no_interval() -> None:
    found = intervals(lambda counts: np.array([np.nan, 1.0]), ["never", "always"], 10, 0, 20)
    assert found == {"always": (1.0, 1.0)}


@pytest.mark.parametrize("decimals", [1, 8], ids=["ties", "no ties"])
def test_an_area_with_counts_is_that_of_scikit_learn_with_weights(decimals: int) -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(200) < 0.3
    scores = (rng.random(200) + 0.3 * positive).round(decimals)
    area = RocArea(scores, positive)
    for counts in (np.ones(200), rng.integers(0, 4, 200).astype(float)):
        assert area(counts) == pytest.approx(roc_auc_score(positive, scores, sample_weight=counts), rel=1e-12)
    assert np.isnan(area(positive.astype(float)))
