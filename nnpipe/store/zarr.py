"""Files of arrays in zarr 3: a directory with one array a name, in chunks of whole rows, compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from nnpipe.errors import CorruptionError
from nnpipe.store.canonical import JSON

CHUNK_BYTES = 4 << 20


class ZarrArrays:
    """A zarr 3 group whose members are the arrays; attributes are those of the group."""

    def __init__(self, group: zarr.Group, path: Path) -> None:
        self._group, self._path = group, path
        self._pending: dict[str, tuple[int, list[np.ndarray]]] = {}  # rows that do not fill a chunk yet

    @classmethod
    def open(cls, path: Path) -> ZarrArrays:
        try:
            return cls(zarr.open_group(path, mode="r"), path)
        except (OSError, ValueError, KeyError) as error:
            raise CorruptionError("not a readable zarr group", where=str(path), found=str(error)) from error

    @classmethod
    def create(cls, path: Path) -> ZarrArrays:
        return cls(zarr.open_group(path, mode="w-", zarr_format=3), path)

    def names(self) -> list[str]:
        return sorted(self._group.array_keys())

    def shape(self, name: str) -> tuple[int, ...]:
        return self._array(name).shape

    def dtype(self, name: str) -> np.dtype:
        return np.dtype(self._array(name).dtype)

    def attributes(self) -> dict[str, JSON]:
        return dict(self._group.attrs)

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._array(name)[start:stop])

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        row_bytes = max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64)))
        rows = max(1, min(shape[0], CHUNK_BYTES // row_bytes))
        self._group.create_array(name, shape=shape, dtype=dtype, chunks=(rows, *shape[1:]))

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        # A chunk written in pieces is compressed anew for each piece, so pieces wait until they fill chunks.
        first, blocks = self._pending.get(name, (start, []))
        rows = np.concatenate([*blocks, values]) if blocks else values
        chunk = self._array(name).chunks[0]
        whole = len(rows) - len(rows) % chunk
        if whole:
            self._array(name)[first : first + whole] = rows[:whole]
        self._pending[name] = (first + whole, [rows[whole:].copy()] if whole < len(rows) else [])

    def set_attributes(self, attributes: Mapping[str, JSON]) -> None:
        self._group.attrs.update(cast(dict[str, Any], dict(attributes)))

    def close(self) -> None:
        for name, (first, blocks) in self._pending.items():
            for rows in blocks:
                self._array(name)[first : first + len(rows)] = rows
        self._pending.clear()

    def _array(self, name: str) -> zarr.Array[Any]:
        return cast("zarr.Array[Any]", self._group[name])
