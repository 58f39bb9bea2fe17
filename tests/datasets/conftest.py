"""Small files of the forms that sources read."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
WriteIdx = Callable[[Path, np.ndarray], Path]


@pytest.fixture
def write_idx() -> WriteIdx:
    def write(path: Path, array: np.ndarray) -> Path:
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
        data = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        return path

    return write


@pytest.fixture
def images() -> np.ndarray:
    """Twelve images of 4x5."""
    return np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    """Their labels, of three classes."""
    return np.arange(12, dtype=np.uint8) % 3
