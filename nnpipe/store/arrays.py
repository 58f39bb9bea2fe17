"""Files of named numeric arrays, the same in HDF5 and in zarr: the one seam between nnpipe and both libraries.

The protocol is no wider than this: named numeric arrays of a shape known beforehand, JSON attributes of the
whole file, rows written once in order, contiguous row slices read. The content digest is of names, dtypes, shapes,
values and attributes, computed while rows are written: format and chunking do not enter it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from nnpipe.errors import StoreError
from nnpipe.store.canonical import JSON, canonical_json, digest

ArrayFormat = Literal["hdf5", "zarr"]
SUFFIXES: dict[str, str] = {"hdf5": ".h5", "zarr": ".zarr"}


class ArrayFile(Protocol):
    """An open file of named arrays. ``write`` is for files made by ``create``, in order of rows."""

    def names(self) -> list[str]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> np.dtype: ...
    def attributes(self) -> dict[str, JSON]: ...
    def rows(self, name: str, start: int, stop: int) -> np.ndarray: ...
    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None: ...
    def write(self, name: str, start: int, values: np.ndarray) -> None: ...
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


class ArrayWriter:
    """Writes arrays row block by row block and digests what it writes.

    >>> with ArrayWriter(path, "hdf5") as writer:
    ...     writer.allocate("X_train", (60_000, 1, 28, 28), np.uint8)
    ...     for images in batches:
    ...         writer.append("X_train", images)
    ...     writer.attributes = {"class_names": [...]}
    >>> writer.content
    """

    def __init__(self, path: Path, kind: ArrayFormat) -> None:
        self.attributes: dict[str, JSON] = {}
        self.content = ""
        self._file = create_arrays(path, kind)
        self._hashes: dict[str, hashlib._Hash] = {}
        self._filled: dict[str, int] = {}

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> None:
        """Make room for an array; its rows follow by ``append``."""
        kind = portable(np.dtype(dtype))
        self._file.allocate(name, shape, kind)
        self._hashes[name] = hashlib.sha256(array_header(kind, shape))
        self._filled[name] = 0

    def append(self, name: str, values: np.ndarray) -> None:
        """Write the next rows of array ``name``; ``values``: (rows, ...), of the array's dtype."""
        block = np.ascontiguousarray(values, dtype=self._file.dtype(name))
        self._file.write(name, self._filled[name], block)
        self._hashes[name].update(block.data if block.size else b"")
        self._filled[name] += len(block)

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        for name, filled in self._filled.items():
            if filled != self._file.shape(name)[0]:
                raise StoreError(
                    f"array {name} is not whole",
                    expected=f"{self._file.shape(name)[0]} rows",
                    found=f"{filled} rows",
                )
        self._file.set_attributes(self.attributes)
        self.content = combine({name: h.hexdigest() for name, h in self._hashes.items()}, self.attributes)


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


def blocks(file: ArrayFile, name: str, size: int = 8 << 20) -> Iterator[np.ndarray]:
    """The rows of an array in order, about ``size`` bytes at a time."""
    shape, itemsize = file.shape(name), file.dtype(name).itemsize
    row_bytes = max(1, itemsize * int(np.prod(shape[1:], dtype=np.int64)))
    step = max(1, size // row_bytes)
    for start in range(0, shape[0], step):
        yield np.ascontiguousarray(file.rows(name, start, min(start + step, shape[0])))
