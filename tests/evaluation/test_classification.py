"""Measures of classes against scikit-learn and counting by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from nnpipe.evaluation.calibration import BINS, calibration_error, calibration_table
from nnpipe.evaluation.classification import measure_classification
from nnpipe.evaluation.measured import LISTED, Measured
from nnpipe.evaluation.resampling import ClassificationStatistic


def problem(classes: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities that are better than chance, float32."""
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), truth] += 1
    shares = np.exp(logits)
    return truth, (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def measured(truth: np.ndarray, scores: np.ndarray, **options: Any) -> Measured:
    names = [f"class {label}" for label in range(scores.shape[1])]
    return measure_classification(truth, scores, scores.argmax(1), np.full(len(truth), 0.5), names, **options)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_measures_are_those_of_scikit_learn(classes: int) -> None:
    truth, p = problem(classes)
    said, found = p.argmax(1), measured(truth, p).metrics
    areas = metrics.roc_auc_score(truth, p[:, 1] if classes == 2 else p, multi_class="ovr")
    expected = {
        "test_loss": 0.5,
        "test_accuracy": metrics.accuracy_score(truth, said),
        "test_balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "test_macro_f1": metrics.f1_score(truth, said, average="macro"),
        "test_weighted_precision": metrics.precision_score(truth, said, average="weighted"),
        "test_log_loss": metrics.log_loss(truth, p),
        "test_roc_auc": areas,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    assert ("test_top_5_accuracy" in found) == (classes > 5)
    if classes > 5:
        assert found["test_top_5_accuracy"] == metrics.top_k_accuracy_score(truth, p, k=5)


def test_the_brier_score_is_that_of_scikit_learn_for_two_classes_and_its_definition_for_more() -> None:
    truth, p = problem(2)
    assert measured(truth, p).metrics["test_brier_score"] == pytest.approx(
        metrics.brier_score_loss(truth, p[:, 1]), rel=1e-6
    )
    truth, p = problem(3)
    expected = np.mean([sum((p[i, k] - (truth[i] == k)) ** 2 for k in range(3)) for i in range(len(truth))])
    assert measured(truth, p).metrics["test_brier_score"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_the_statistic_of_the_bootstrap_of_every_example_once_is_the_measure(classes: int) -> None:
    truth, p = problem(classes)
    found = measured(truth, p)
    losses = np.full(len(truth), 0.5)
    statistic = ClassificationStatistic(truth, p, p.argmax(1), losses, list(found.metrics), 5)
    values = statistic(np.ones(len(truth)))
    assert dict(zip(statistic.names, values, strict=True)) == pytest.approx(found.metrics, rel=1e-9)
    assert set(found.intervals) == set(found.metrics)
    assert all(low <= high for low, high in found.intervals.values())


def test_the_same_seed_gives_the_same_intervals_and_another_others() -> None:
    truth, p = problem(3)
    one, two, other = (measured(truth, p, seed=seed).intervals for seed in (0, 0, 1))
    assert one == two != other


def test_how_many_classes_count_for_a_top_k_can_be_chosen() -> None:
    truth, p = problem(3)
    found = measured(truth, p, top_k=2).metrics
    assert found["test_top_2_accuracy"] == metrics.top_k_accuracy_score(truth, p, k=2)


def test_calibration_is_counted_as_by_hand() -> None:
    confidence = np.array([0.30, 0.31, 0.62, 0.64, 0.99, 1.0, 1 / 15])
    right = np.array([True, False, True, True, True, False, False])
    table = calibration_table(confidence, right)
    assert len(table) == BINS
    assert [row["examples"] for row in table] == [1, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2]
    assert (table[4]["accuracy"], table[9]["accuracy"], table[14]["accuracy"]) == (0.5, 1.0, 0.5)
    assert table[9]["confidence"] == pytest.approx(0.63)
    assert table[1]["confidence"] is None
    expected = (2 * abs(0.5 - 0.305) + 2 * abs(1 - 0.63) + 2 * abs(0.5 - 0.995) + 1 / 15) / 7
    assert calibration_error(table) == pytest.approx(expected)


def test_the_most_confident_mistakes_are_listed_in_order() -> None:
    truth, p = problem(3)
    listed = measured(truth, p).details["confident_mistakes"]
    assert len(listed) == LISTED
    assert [row["probability"] for row in listed] == sorted((row["probability"] for row in listed), reverse=True)
    wrong = p.argmax(1) != truth
    assert listed[0]["probability"] == pytest.approx(p[wrong].max())
    for row in listed:
        assert row["truth"] == f"class {truth[row['index']]}" != row["predicted"]


def test_margins_have_no_probabilities_to_be_judged_and_sigmoids_no_log_loss() -> None:
    truth, p = problem(3)
    margins = measured(truth, np.log(p), kind="margins")
    assert not {"test_log_loss", "test_brier_score", "test_calibration_error"} & set(margins.metrics)
    assert "calibration" not in margins.details
    assert "margin" in margins.details["confident_mistakes"][0]
    assert margins.metrics["test_accuracy"] == measured(truth, p).metrics["test_accuracy"]
    sigmoids = measured(truth, p, kind="probabilities").metrics
    assert "test_log_loss" not in sigmoids
    assert "test_brier_score" in sigmoids


def test_a_class_that_never_occurs_has_no_area_and_no_recall() -> None:
    found = measured(np.array([0, 0]), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    assert "test_roc_auc" not in found.metrics
    assert found.metrics["test_balanced_accuracy"] == 0.5
    rows = found.details["per_class"]
    assert rows[1] == {"name": "class 1", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_a_probability_of_zero_has_a_finite_log_loss() -> None:
    found = measured(np.array([0, 1]), np.array([[1, 0], [1, 0]], np.float32)).metrics
    assert found["test_log_loss"] == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2, rel=1e-6)
