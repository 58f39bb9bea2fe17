"""Probes: simple classifiers that ask how well classes can be read from a representation that was learnt without them.

Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Representations, (n, features) float32 -> predicted labels, (n,).
Probe = Callable[[np.ndarray], np.ndarray]

ITERATIONS = 500  # of L-BFGS; nearly always fewer are needed


def linear_probe(x: np.ndarray, y: np.ndarray) -> Probe:
    """Logistic regression on standardised features, with scikit-learn's default penalty. x: (n, features); y: (n,).

    Raises:
        ValueError: there is only one class.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    offset, scale = mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)
    model = LogisticRegression(max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe need not be the last word
        model.fit((x - offset) / scale, y)

    def probe(x: np.ndarray) -> np.ndarray:
        found: np.ndarray = model.predict((x - offset) / scale)
        return found

    return probe


def neighbour_probe(x: np.ndarray, y: np.ndarray, neighbours: int) -> Probe:
    """The commonest class among the nearest examples by Euclidean distance. x: (n, features); y: (n,)."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(neighbours, len(x)), algorithm="brute")
    model.fit(x, y)

    def probe(x: np.ndarray) -> np.ndarray:
        found: np.ndarray = model.predict(x)
        return found

    return probe
