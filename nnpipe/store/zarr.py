"""Files of arrays in zarr 3: a directory with one array a name, in chunks of whole rows, compressed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from nnpipe.errors import CorruptionError
from nnpipe.store.arrays import take_by_steps
from nnpipe.store.canonical import JSON

CHUNK_BYTES = 4 << 20
# The fastest level that still packs pictures: numbers that do not compress pass at 1.5 GB/s instead of 0.5, and MNIST
# takes 11 MB instead of 10. Its bytes do not depend on the number of threads, as those of Blosc may.
LEVEL = -1


class ZarrArrays:
    """A zarr 3 group whose members are the arrays; attributes are those of the group."""

    def __init__(self, group: zarr.Group, path: Path) -> None:
        self._group, self._path = group, path
        self._arrays: dict[str, zarr.Array[Any]] = {}

    @classmethod
    def open(cls, path: Path) -> ZarrArrays:
        _refuse_links(path)
        return cls(_opened(path, "r"), path)

    @classmethod
    def create(cls, path: Path) -> ZarrArrays:
        return cls(zarr.open_group(path, mode="w-", zarr_format=3), path)

    @classmethod
    def reopen(cls, path: Path) -> ZarrArrays:
        for file in path.rglob("*"):
            if file.is_file() and file.name != "zarr.json" and not file.name.isdigit():
                file.unlink()  # a chunk that zarr was about to rename into place when it died
        return cls(_opened(path, "r+"), path)

    def names(self) -> list[str]:
        with self._explained():
            return sorted(self._group.array_keys())

    def shape(self, name: str) -> tuple[int, ...]:
        return self._array(name).shape

    def dtype(self, name: str) -> np.dtype:
        return np.dtype(self._array(name).dtype)

    def step(self, name: str) -> int:
        return self._array(name).chunks[0]

    def attributes(self) -> dict[str, JSON]:
        return dict(self._group.attrs)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._array(name)[start:stop])

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        return take_by_steps(self, name, rows)

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        row_bytes = max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64)))
        rows = max(1, min(shape[0], CHUNK_BYTES // row_bytes))
        codec = ZstdCodec(level=LEVEL)
        self._group.create_array(name, shape=shape, dtype=dtype, chunks=(rows, *shape[1:]), compressors=codec)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        if values.size:
            self._array(name)[start : start + len(values)] = values

    def layout(self) -> JSON:
        """What tells of the directory without its chunks: the digest of each description."""
        found = sorted(self._path.rglob("zarr.json"))
        return {
            path.relative_to(self._path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found
        }

    def set_attributes(self, attributes: Mapping[str, JSON]) -> None:
        self._group.attrs.update(cast(dict[str, Any], dict(attributes)))

    def close(self) -> None:
        self._arrays.clear()

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._arrays:
            with self._explained(name):
                found = self._group[name]
            if not isinstance(found, zarr.Array):
                raise CorruptionError("a group, not an array", where=f"{self._path}:{name}")
            # A chunk of zeros is written like any other: looking for them takes longer.
            self._arrays[name] = found.with_config({"write_empty_chunks": True})
        return self._arrays[name]

    @contextmanager
    def _explained(self, name: str | None = None) -> Iterator[None]:
        # A codec that would execute what it reads (pickle, in files of zarr 2) is no codec of numbers: a ValueError.
        try:
            yield
        except (OSError, ValueError, TypeError, KeyError) as error:
            where = f"{self._path}:{name}" if name else str(self._path)
            raise CorruptionError("not an array that can be read", where=where, found=str(error)) from error


def keeps_layout(path: Path, layout: JSON) -> bool:
    """Whether a directory is still laid out as ``ZarrArrays.layout`` told."""
    return bool(ZarrArrays.open(path).layout() == layout)


def _opened(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    try:
        return zarr.open_group(path, mode=mode)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptionError("not a readable zarr group", where=str(path), found=str(error)) from error


def _refuse_links(path: Path) -> None:
    # A link that leaves the directory could read what it should not, and is not in the digest of its files.
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(folder, name)):
                raise CorruptionError("a symbolic link in a zarr group", where=os.path.join(folder, name))
