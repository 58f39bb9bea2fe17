"""Measures of predicted classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn import metrics

from nnpipe.evaluation.bootstrap import intervals
from nnpipe.evaluation.calibration import calibration_error, calibration_table
from nnpipe.evaluation.measured import LISTED, Measured
from nnpipe.evaluation.resampling import ClassificationStatistic, brier_scores, log_losses

# What a network says of each class: probabilities that sum to 1, probabilities class by class, or margins of any size.
Scores = Literal["distribution", "probabilities", "margins"]


def measure_classification(
    truth: np.ndarray,
    scores: np.ndarray,
    predicted: np.ndarray,
    losses: np.ndarray,
    class_names: Sequence[str],
    *,
    kind: Scores = "distribution",
    top_k: int = 5,
    seed: int = 0,
) -> Measured:
    """Single numbers, their intervals, and what is told class by class and example by example.

    truth, predicted: (n,) int64; scores: (n, classes) float32; losses: (n,), the loss of each example.
    A class that was never predicted has precision 0, one that never occurs has recall 0; balanced accuracy is the mean
    recall of those that occur. The area under the ROC curve is that of the second of two classes, or the mean over
    classes against the rest, of those that occur. Margins have no log loss, Brier score and calibration, scores that
    need not sum to 1 no log loss. Brier score: of two classes (p - y)^2, of more the sum over classes (Brier 1950).
    """
    classes = range(len(class_names))
    columns = metrics.precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=0)
    precision, recall, f1, support = (column.tolist() for column in columns)
    confusion = metrics.confusion_matrix(truth, predicted, labels=classes)
    single = {
        "test_loss": float(losses.mean(dtype=np.float64)),
        "test_accuracy": float(metrics.accuracy_score(truth, predicted)),
        "test_balanced_accuracy": float(np.mean([r for r, count in zip(recall, support, strict=True) if count])),
    }
    if len(class_names) > top_k:
        found = metrics.top_k_accuracy_score(truth, scores, k=top_k, labels=classes)
        single[f"test_top_{top_k}_accuracy"] = float(found)
    for average, weights in (("macro", None), ("weighted", support)):
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
            single[f"test_{average}_{name}"] = float(np.average(values, weights=weights))
    single |= _area(truth, scores)
    right, confidence = truth == predicted, scores[np.arange(len(truth)), predicted]
    keys = ("name", "precision", "recall", "f1", "support")
    rows = zip(class_names, precision, recall, f1, support, strict=True)
    details: dict[str, Any] = {
        "confusion_matrix": confusion.tolist(),
        "per_class": [dict(zip(keys, row, strict=True)) for row in rows],
        "scores": kind,
        "confident_mistakes": _mistakes(truth, predicted, confidence, class_names, kind),
    }
    if kind != "margins":
        details["calibration"] = calibration_table(confidence, right)
        single["test_brier_score"] = float(brier_scores(truth, scores).mean())
        single["test_calibration_error"] = calibration_error(details["calibration"])
    if kind == "distribution":
        single["test_log_loss"] = float(log_losses(truth, scores).mean())
    statistic = ClassificationStatistic(truth, scores, predicted, losses, list(single), top_k)
    return Measured(single, intervals(statistic, statistic.names, len(truth), seed), details)


def _area(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """``test_roc_auc``; nothing where all examples are of one class."""
    if len(np.unique(truth)) < 2:
        return {}
    classes = [1] if scores.shape[1] == 2 else np.unique(truth).tolist()
    return {
        "test_roc_auc": float(np.mean([metrics.roc_auc_score(truth == label, scores[:, label]) for label in classes]))
    }


def _mistakes(
    truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, class_names: Sequence[str], kind: Scores
) -> list[dict[str, Any]]:
    """The wrong predictions with the highest score, the highest first; ``index``: from 0, among the test examples."""
    wrong = np.flatnonzero(truth != predicted)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:LISTED]
    return [
        {
            "index": int(index),
            "truth": class_names[truth[index]],
            "predicted": class_names[predicted[index]],
            "margin" if kind == "margins" else "probability": float(confidence[index]),
        }
        for index in worst
    ]
