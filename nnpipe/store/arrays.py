"""Files of named numeric arrays, the same in HDF5 and in zarr: the one seam between nnpipe and both libraries.

The protocol is no wider than this: named numeric arrays of a shape known beforehand, JSON attributes of the whole
file, rows written once in order, slices of rows read, or rows by their numbers. The content digest is of names, dtypes,
shapes, values and attributes, computed while rows are written: format and chunking do not enter it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from nnpipe.store.canonical import JSON, canonical_json, digest

ArrayFormat = Literal["hdf5", "zarr"]
SUFFIXES: dict[str, str] = {"hdf5": ".h5", "zarr": ".zarr"}


class ArrayFile(Protocol):
    """An open file of named arrays.

    What changes it is for files made by ``create_arrays``: each array is allocated, then its rows are written in order,
    whole steps at a time but for the last ones. Only ``allocate`` and ``set_attributes`` change what is not rows.
    """

    def names(self) -> list[str]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> np.dtype: ...

    def step(self, name: str) -> int:
        """How many rows lie together: what is read and written in whole steps is touched once."""

    def attributes(self) -> dict[str, JSON]: ...
    def rows(self, name: str, start: int, stop: int) -> np.ndarray: ...

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, (n,) int64, in this order: (n, ...)."""

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None: ...
    def write(self, name: str, start: int, values: np.ndarray) -> None: ...

    def layout(self) -> JSON:
        """What tells whether anything but rows changes: see ``keeps_layout``."""

    def set_attributes(self, attributes: Mapping[str, JSON]) -> None: ...
    def close(self) -> None: ...


def open_arrays(path: Path) -> ArrayFile:
    """Open for reading what ``path`` holds: a zarr directory or an HDF5 file."""
    if path.is_dir():
        from nnpipe.store.zarr import ZarrArrays

        return ZarrArrays.open(path)
    from nnpipe.store.hdf5 import Hdf5Arrays

    return Hdf5Arrays.open(path)


def create_arrays(path: Path, kind: ArrayFormat) -> ArrayFile:
    """Make an empty file of arrays at ``path``, which must not exist."""
    if kind == "zarr":
        from nnpipe.store.zarr import ZarrArrays

        return ZarrArrays.create(path)
    from nnpipe.store.hdf5 import Hdf5Arrays

    return Hdf5Arrays.create(path)


def reopen_arrays(path: Path) -> ArrayFile:
    """Open a file made by ``create_arrays`` to go on writing."""
    if path.is_dir():
        from nnpipe.store.zarr import ZarrArrays

        return ZarrArrays.reopen(path)
    from nnpipe.store.hdf5 import Hdf5Arrays

    return Hdf5Arrays.reopen(path)


def keeps_layout(path: Path, layout: JSON) -> bool:
    """Whether nothing but rows of the file at ``path`` changed since ``ArrayFile.layout`` was asked.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        from nnpipe.store import zarr

        return zarr.keeps_layout(path, layout)
    from nnpipe.store import hdf5

    return hdf5.keeps_layout(path, layout)


def portable(dtype: np.dtype) -> np.dtype:
    """The little-endian form of a numeric dtype; anything else is an error."""
    if dtype.kind not in "biuf":
        raise TypeError(f"only numeric arrays are kept, not {dtype}")
    return dtype.newbyteorder("<")


def array_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """What is hashed before the values: the same bytes in another shape are another array."""
    return b"nnpipe/array/1\0" + canonical_json([portable(dtype).str, list(shape)]) + b"\0"


def combine(arrays: Mapping[str, str], attributes: Mapping[str, JSON]) -> str:
    """Content digest of a file of arrays from the digests of its arrays and its attributes."""
    return digest("nnpipe/arrays/1", {"arrays": dict(arrays), "attributes": dict(attributes)})


def content_digest(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, JSON]) -> str:
    """Content digest of arrays in memory: the one that a file of them has."""
    return combine({name: array_digest(array) for name, array in arrays.items()}, attributes)


def array_digest(array: np.ndarray) -> str:
    """Digest of one array: dtype, shape and values in C order."""
    block = np.ascontiguousarray(array, dtype=portable(array.dtype))
    state = hashlib.sha256(array_header(block.dtype, array.shape))
    state.update(block.data if block.size else b"")
    return state.hexdigest()


def file_digest(file: ArrayFile) -> str:
    """Content digest of an open file, read block by block."""
    digests = {}
    for name in file.names():
        state = hashlib.sha256(array_header(file.dtype(name), file.shape(name)))
        for block in blocks(file, name):
            state.update(block.data)
        digests[name] = state.hexdigest()
    return combine(digests, file.attributes())


def blocks(file: ArrayFile, name: str, size: int = 8 << 20, stop: int | None = None) -> Iterator[np.ndarray]:
    """The rows of an array in order, up to ``stop``, about ``size`` bytes at a time."""
    shape, itemsize = file.shape(name), file.dtype(name).itemsize
    stop = shape[0] if stop is None else stop
    row_bytes = max(1, itemsize * int(np.prod(shape[1:], dtype=np.int64)))
    step = max(1, size // row_bytes)
    if step > file.step(name):
        step -= step % file.step(name)
    for start in range(0, stop, step):
        yield np.ascontiguousarray(file.rows(name, start, min(start + step, stop)))


def take_by_steps(file: ArrayFile, name: str, rows: np.ndarray) -> np.ndarray:
    """As ``ArrayFile.take``: the file is read in order, each step that has a wanted row once."""
    taken = np.empty((len(rows), *file.shape(name)[1:]), file.dtype(name))
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    for first, last in runs(wanted // file.step(name)):
        start = int(wanted[first])
        together = file.rows(name, start, int(wanted[last - 1]) + 1)
        taken[order[first:last]] = together[wanted[first:last] - start]
    return taken


def runs(sorted_values: np.ndarray) -> Iterator[tuple[int, int]]:
    """From where to where the same value stands, of (n,)."""
    ends = [*(np.flatnonzero(np.diff(sorted_values)) + 1).tolist(), len(sorted_values)]
    yield from zip([0, *ends], ends, strict=False) if len(sorted_values) else ()
