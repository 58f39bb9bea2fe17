"""MNIST from ``NNPIPE_DATA/mnist``; where it is not, scikit-learn's digits enlarged, in as many files as large."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPLITS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}


class Images(NamedTuple):
    """x: (count, 28, 28) uint8. y: (count,) int64. source: what they are, in words."""

    x: np.ndarray
    y: np.ndarray
    source: str


def mnist_folder() -> Path | None:
    """Where MNIST's files lie."""
    folder = Path(os.environ.get("NNPIPE_DATA", "")) / "mnist"
    return folder if all(any(folder.glob(f"{prefix}-images*")) for prefix, _ in SPLITS.values()) else None


def images(split: str, count: int) -> Images:
    """The first of a split, ``train`` or ``test``; digits are the same in both."""
    folder, prefix = mnist_folder(), SPLITS[split][0]
    if folder is None:
        return _enlarged_digits(count)
    from nnpipe.datasets.idx import open_idx

    files = (next(folder.glob(f"{prefix}-{what}*")) for what in ("images", "labels"))
    x, y = (next(open_idx(path, (1, 3)).blocks(count)) for path in files)
    return Images(x.copy(), y.astype(np.int64), "MNIST images")


def write_mnist(folder: Path, scale: int = 1) -> Path:
    """Files like MNIST's, gzipped, of digits; ``scale`` times fewer. Returns the folder to call NNPIPE_DATA."""
    (folder / "mnist").mkdir(parents=True)
    for prefix, count in SPLITS.values():
        found = _enlarged_digits(count // scale)
        for what, array in (("images-idx3", found.x), ("labels-idx1", found.y.astype(np.uint8))):
            header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            path = folder / "mnist" / f"{prefix}-{what}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes(), 6))
    return folder


def _enlarged_digits(count: int) -> Images:
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    digits = load_digits()
    large = zoom(digits.images * (255 / 16), (1, 3.5, 3.5), order=1).round().astype(np.uint8)
    chosen = np.arange(count) % len(large)
    return Images(large[chosen], digits.target[chosen].astype(np.int64), "enlarged images of scikit-learn's digits")
