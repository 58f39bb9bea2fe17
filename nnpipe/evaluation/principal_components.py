"""Principal components: the best that a linear code of a given size can do for squared errors.

Of all projections onto so many directions theirs loses least of the examples they were found on (Pearson 1901).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PrincipalComponents:
    """mean: (features,); directions: (components, features), orthonormal, the one of most variance first; float32."""

    mean: np.ndarray
    directions: np.ndarray

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """What the components keep of x: (n, features)."""
        kept: np.ndarray = (x - self.mean) @ self.directions.T @ self.directions + self.mean
        return kept


def principal_components(blocks: Callable[[], Iterable[np.ndarray]], components: int) -> PrincipalComponents:
    """At most ``components`` components of the examples that ``blocks`` gives, (rows, features) float32 each time.

    ``blocks`` is gone through twice, for the mean and for the covariance, which is summed in float64.
    """
    from scipy.linalg import eigh

    count, total = 0, np.zeros(0)
    for block in blocks():
        count, total = count + len(block), block.sum(axis=0, dtype=np.float64) + (total if count else 0)
    mean = (total / count).astype(np.float32)
    covariance = np.zeros((len(mean), len(mean)))
    for block in blocks():
        centred = block - mean
        covariance += centred.T @ centred
    features = len(mean)
    _, vectors = eigh(covariance / count, subset_by_index=[max(0, features - components), features - 1])
    return PrincipalComponents(mean, np.ascontiguousarray(vectors.T[::-1], np.float32))


def squared_errors(inputs: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Summed over the values of each example: (n,) float64, of two arrays of (n, features)."""
    errors: np.ndarray = np.square(inputs.astype(np.float64) - reconstructions).sum(axis=1)
    return errors
