"""How much a measure would vary with other test examples: the bootstrap's percentile interval.

Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. A resample is told by how often it holds each
example, so a measure is computed from counts and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95

# How often each example is there, (examples,) float64 -> the measures, (measures,); not a number where one has none.
Statistic = Callable[[np.ndarray], np.ndarray]


def intervals(
    statistic: Statistic, names: Sequence[str], examples: int, seed: int, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float]]:
    """Name of a measure -> the interval that holds the middle 95 % of its values over resamples of the examples.

    A resample in which a measure has no value does not count for it; a measure without any value has no interval.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    values = np.empty((resamples, len(names)))
    for row in values:
        drawn = generator.integers(0, examples, examples)
        row[:] = statistic(np.bincount(drawn, minlength=examples).astype(np.float64))
    outside = 50 * (1 - CONFIDENCE)
    found = {}
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known):
            low, high = np.percentile(known, [outside, 100 - outside]).tolist()
            found[name] = (low, high)
    return found
