"""The handwritten digits that come with scikit-learn: 1,797 images of 8x8, no download.

From Alpaydin & Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from nnpipe.datasets.sources.source import Block, Description, Opened, Source

NAMES = tuple("0123456789")
SHAPE = (1, 8, 8)
ROWS = 512


class Digits(Source):
    """Values 0 to 16: how many of the 4x4 points under a pixel are inked. No test examples of its own."""

    kind: Literal["digits"] = "digits"

    def describe(self, root: Path) -> Description:
        return Description(SHAPE, len(NAMES))

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np
        from sklearn.datasets import load_digits

        values, labels = load_digits(return_X_y=True)
        examples = values.astype(np.uint8).reshape(-1, *SHAPE)

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            for start in range(first, len(labels), ROWS):
                yield examples[start : start + ROWS], labels[start : start + ROWS].astype(np.int64)

        return Opened({"train": len(labels)}, SHAPE, np.dtype(np.uint8), (0.0, 16.0), NAMES, blocks)
