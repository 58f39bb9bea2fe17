"""The area under the ROC curve of examples that count more than once or not at all."""

from __future__ import annotations

import numpy as np


class RocArea:
    """How probably an example of the class has a higher score than one that is not, equal scores counting half.

    Scores are sorted once; an area then takes a sum along them.
    scores: (examples,); positive: (examples,) bool, whether they are of the class.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._positive = np.flatnonzero(positive[self._order])
        # How many examples, and how many positive ones, lie below each positive one, and how many not above it.
        self._ends = [np.searchsorted(ordered, ordered[self._positive], side) for side in ("left", "right")]
        self._positive_ends = [np.searchsorted(self._positive, ends) for ends in self._ends]

    def __call__(self, counts: np.ndarray) -> float:
        """The area, where each example is there ``counts`` times; not a number where one kind is not there."""
        counts = counts[self._order]
        positive = counts[self._positive]
        below, below_positive = _sums(counts), _sums(positive)
        negatives = sum(below[e] - below_positive[p] for e, p in zip(self._ends, self._positive_ends, strict=True)) / 2
        pairs = below_positive[-1] * (below[-1] - below_positive[-1])
        return float(positive @ negatives / pairs) if pairs else float("nan")


def _sums(values: np.ndarray) -> np.ndarray:
    """Of none of the values, of the first, of the first two, ..."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums
