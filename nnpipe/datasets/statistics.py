"""Mean, deviation and range of a stream of examples, in float64 and in one pass.

Rows are gathered into chunks of a size that only their shape determines, so the same rows give the same bits
however they arrive. Chunks are merged as in Chan, Golub & LeVeque (1983), "Algorithms for computing the sample
variance", which loses no digits to large means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnpipe.store.canonical import JSON

CHUNK_VALUES = 1 << 18
MOST_FEATURES = 4096  # of vectors whose features are described one by one


class RunningStatistics:
    """Statistics of examples of ``shape``, which come in by ``add``; memory: a chunk and two examples."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        features = math.prod(shape)
        self._by_feature = len(shape) == 1 and features <= MOST_FEATURES
        self._chunk = np.empty((max(1, CHUNK_VALUES // features), features), np.float64)
        self._filled = self._count = 0
        self._mean, self._squares = np.zeros(features), np.zeros(features)  # squares: sums of squared deviations
        self._min, self._max = math.inf, -math.inf

    def add(self, rows: np.ndarray) -> None:
        """Take in the next examples, (rows, ...)."""
        rows = rows.reshape(len(rows), -1)
        while len(rows):
            taken = rows[: len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rows = rows[len(taken) :]
            if self._filled == len(self._chunk):
                self._merge()

    def state(self) -> dict[str, np.ndarray]:
        """All that was taken in: what ``resume`` goes on from, bit for bit."""
        return {
            "chunk": self._chunk[: self._filled].copy(),
            "count": np.array(self._count),
            "mean": self._mean,
            "squares": self._squares,
            "range": np.array([self._min, self._max]),
        }

    def resume(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a ``state``."""
        self._filled, self._count = len(state["chunk"]), state["count"].item()
        self._chunk[: self._filled] = state["chunk"]
        self._mean, self._squares = state["mean"].copy(), state["squares"].copy()
        self._min, self._max = state["range"].tolist()

    def to_json(self) -> dict[str, JSON]:
        """``mean``, ``std``, ``min`` and ``max`` over all values; for short vectors each feature's mean and std too."""
        self._merge()
        mean = float(self._mean.mean())
        # The variance of all values: that within the features, and that of the features' means.
        variance = float((self._squares / self._count + np.square(self._mean - mean)).mean())
        whole: dict[str, JSON] = {"mean": mean, "std": math.sqrt(variance), "min": self._min, "max": self._max}
        if self._by_feature:
            whole["feature_mean"] = self._mean.tolist()
            whole["feature_std"] = np.sqrt(self._squares / self._count).tolist()
        return whole

    def _merge(self) -> None:
        chunk, count = self._chunk[: self._filled], self._filled
        if not count:
            return
        self._min, self._max = min(self._min, float(chunk.min())), max(self._max, float(chunk.max()))
        mean = chunk.mean(axis=0)
        chunk -= mean
        np.square(chunk, out=chunk)
        shift, total = mean - self._mean, self._count + count
        self._squares += chunk.sum(axis=0) + np.square(shift) * (self._count * count / total)
        self._mean += shift * (count / total)
        self._count, self._filled = total, 0
