"""The diabetes data that come with scikit-learn: 442 patients, no download.

From Efron, Hastie, Johnstone & Tibshirani (2004), "Least Angle Regression", section 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from nnpipe.datasets.sources.source import Block, Description, Opened, Source

FEATURES = 10  # age, sex, body mass index, blood pressure and six measures of blood serum, in their own units
TARGET = "progression"  # of the disease in a year, from 25 to 346


class Diabetes(Source):
    """Ten features, and how far the disease went within a year. No test examples of its own."""

    kind: Literal["diabetes"] = "diabetes"

    def describe(self, root: Path) -> Description:
        return Description((FEATURES,), 0, 1)

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np
        from sklearn.datasets import load_diabetes

        examples, targets = (array.astype(np.float32) for array in load_diabetes(return_X_y=True, scaled=False))

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            yield examples[first:], targets[first:, None]

        return Opened({"train": len(targets)}, (FEATURES,), np.dtype(np.float32), None, (), blocks, (TARGET,))
