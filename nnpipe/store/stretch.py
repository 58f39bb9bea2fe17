"""Rows of an array that lie one after the other in a file, read past the library that made it.

HDF5 takes ten times as long to find a row, and lets no other thread compute meanwhile.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnpipe.errors import CorruptionError
from nnpipe.store.arrays import runs

PIECE = 1 << 20  # bytes of a file that are read together, or row by row
ALONE = 8 << 10  # bytes that are copied in the time that it takes to ask for a row


@dataclass(frozen=True)
class Stretch:
    """path: of the file, for errors. place: of the first row's first byte. shape: of the whole array, (rows, ...)."""

    path: Path
    place: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, descriptor: int, start: int, stop: int) -> np.ndarray:
        """From row ``start`` up to ``stop``, or the last one, of the file that is open as ``descriptor``.

        Raises:
            CorruptionError: it ends before.
        """
        count = max(0, min(stop, self.shape[0]) - start)
        found = np.empty((count, *self.shape[1:]), self.dtype)
        self._fill(_bytes(found), descriptor, self.place + start * self._size)
        return found

    def take(self, descriptor: int, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, (n,) int64, in this order: (n, ...). They are read in the order of the file.

        Raises:
            CorruptionError: as for ``rows``.
        """
        taken, size = np.empty((len(rows), *self.shape[1:]), self.dtype), self._size
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        for first, last in runs(wanted // max(1, PIECE // size)):
            here, start, stop = slice(first, last), int(wanted[first]), int(wanted[last - 1]) + 1
            if (last - first) * ALONE < (stop - start) * size:
                self._one_by_one(descriptor, wanted[here], order[here], taken)
            else:
                taken[order[here]] = self.rows(descriptor, start, stop)[wanted[here] - start]
        return taken

    def _one_by_one(self, descriptor: int, rows: np.ndarray, targets: np.ndarray, taken: np.ndarray) -> None:
        """Read each of ``rows`` into the row of ``taken`` that ``targets`` says."""
        data, size = _bytes(taken), self._size
        for target, place in zip((targets * size).tolist(), (self.place + rows * size).tolist(), strict=True):
            row = data[target : target + size]
            if os.preadv(descriptor, (row,), place) < size:
                self._fill(row, descriptor, place)

    def _fill(self, data: memoryview, descriptor: int, place: int) -> None:
        """Read what stands at ``place`` in the file; not all of it may come at once."""
        while data:
            read = os.preadv(descriptor, (data,), place)
            if not read:
                raise CorruptionError("the file ends before its rows do", where=str(self.path))
            data, place = data[read:], place + read

    @property
    def _size(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64)) or 1


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
