"""Measures of classes and of numbers as functions of how often each example counts, for the bootstrap.

Whatever is a mean over examples is one product of counts and columns; the rest is counted class by class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnpipe.evaluation.calibration import BINS, bins_of
from nnpipe.evaluation.roc import RocArea

MOST_RANKED = 200_000  # scores, examples times classes: ranking more of them a thousand times takes many seconds


def log_losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """-log of the right class's probability, (n,) float64; a probability counts as no less than its type resolves."""
    least = np.finfo(probabilities.dtype).eps
    right = probabilities[np.arange(len(truth)), truth]
    losses: np.ndarray = -np.log(right.clip(least, 1 - least).astype(np.float64))
    return losses


def brier_scores(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,) float64: (p - y)^2 of two classes, of more the sum of it over classes."""
    if probabilities.shape[1] == 2:
        scores: np.ndarray = np.square(probabilities[:, 1].astype(np.float64) - truth)
        return scores
    apart = probabilities.astype(np.float64)
    apart[np.arange(len(truth)), truth] -= 1
    summed: np.ndarray = np.square(apart).sum(axis=1)
    return summed


class ClassificationStatistic:
    """The measures called ``names``, in their order. Arguments are those of ``measure_classification``.

    The area under the ROC curve is left out where there are too many scores to rank so often.
    """

    def __init__(
        self,
        truth: np.ndarray,
        scores: np.ndarray,
        predicted: np.ndarray,
        losses: np.ndarray,
        names: Sequence[str],
        top_k: int,
    ) -> None:
        self.names = [name for name in names if name != "test_roc_auc" or scores.size <= MOST_RANKED]
        self._truth, self._predicted, self._classes = truth, predicted, scores.shape[1]
        self._right = truth == predicted
        self._means = {"test_loss": losses.astype(np.float64), "test_accuracy": self._right.astype(np.float64)}
        if f"test_top_{top_k}_accuracy" in names:
            best = np.argsort(scores, axis=1, kind="stable")[:, -top_k:]
            self._means[f"test_top_{top_k}_accuracy"] = (best == truth[:, None]).any(axis=1).astype(np.float64)
        if "test_log_loss" in names:
            self._means["test_log_loss"] = log_losses(truth, scores)
        columns = []
        if "test_brier_score" in names:
            self._means["test_brier_score"] = brier_scores(truth, scores)
            confidence = scores[np.arange(len(truth)), predicted].astype(np.float64)
            apart = np.zeros((len(truth), BINS))
            apart[np.arange(len(truth)), bins_of(confidence)] = confidence - self._right
            columns = [*apart.T]
        self._columns = np.stack([*self._means.values(), *columns], axis=1)
        ranked = [] if "test_roc_auc" not in self.names else [1] if self._classes == 2 else range(self._classes)
        self._areas = [RocArea(scores[:, label], truth == label) for label in ranked]

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """The measures, (measures,), where each example is there ``counts`` times, (n,)."""
        means = counts @ self._columns / counts.sum()
        found = dict(zip(self._means, means, strict=False))
        found["test_calibration_error"] = np.abs(means[len(self._means) :]).sum()
        found |= self._by_class(counts)
        if self._areas:
            areas = np.array([area(counts) for area in self._areas])
            known = areas[~np.isnan(areas)]
            found["test_roc_auc"] = known.mean() if len(known) else np.nan
        return np.array([found[name] for name in self.names])

    def _by_class(self, counts: np.ndarray) -> dict[str, float]:
        support = np.bincount(self._truth, counts, self._classes)
        said = np.bincount(self._predicted, counts, self._classes)
        right = np.bincount(self._truth, counts * self._right, self._classes)
        recall = right / np.maximum(support, 1)
        each = {
            "precision": right / np.maximum(said, 1),
            "recall": recall,
            "f1": 2 * right / np.maximum(support + said, 1),
        }
        found = {f"test_macro_{name}": values.mean() for name, values in each.items()}
        found |= {f"test_weighted_{name}": values @ support / support.sum() for name, values in each.items()}
        return {**found, "test_balanced_accuracy": recall[support > 0].mean()}


class RegressionStatistic:
    """R2, mean absolute error and root mean squared error of numbers, averaged over targets.

    truth, predicted: (n, targets).
    """

    names = ("test_r2", "test_mean_absolute_error", "test_root_mean_squared_error", "test_loss")

    def __init__(self, truth: np.ndarray, predicted: np.ndarray, losses: np.ndarray) -> None:
        errors, centred = predicted.astype(np.float64) - truth, truth - truth.mean(axis=0, dtype=np.float64)
        self._columns = np.stack([errors**2, np.abs(errors), centred, centred**2])  # (4, n, targets)
        self._losses = losses.astype(np.float64)

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """The measures, (4,), where each example is there ``counts`` times, (n,)."""
        squared, absolute, mean, square = counts @ self._columns / counts.sum()
        spread = square - mean**2
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(spread > 0, 1 - squared / spread, np.nan).mean()
        return np.array([r2, absolute.mean(), np.sqrt(squared).mean(), counts @ self._losses / counts.sum()])
