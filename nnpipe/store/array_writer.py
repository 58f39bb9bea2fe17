"""Writing a file of arrays row block by row block, so that a process that dies can be followed by one that goes on.

The layout of a file is settled before any row comes, and attributes are written last, into a file that was opened
anew: its bytes are the same whether or not somebody had to go on with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnpipe.errors import StoreError
from nnpipe.store.arrays import (
    ArrayFile,
    ArrayFormat,
    array_header,
    blocks,
    combine,
    create_arrays,
    keeps_layout,
    portable,
    reopen_arrays,
)
from nnpipe.store.canonical import JSON
from nnpipe.store.durable import explained, flush, make_directory


@dataclass
class Growing:
    """An array that is being written.

    state: of the digest of its header and of the ``written`` rows that the file has.
    waiting: rows that came after them and do not fill a step yet.
    """

    state: hashlib._Hash
    written: int = 0
    waiting: list[np.ndarray] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.written + sum(map(len, self.waiting))


class ArrayWriter:
    """Writes arrays row block by row block and digests what it writes.

    scratch: a folder in which the file lies until it is whole. If this process dies before, another one goes on with
    the ``state`` that this one kept.

    >>> with ArrayWriter(path, "hdf5") as writer:
    ...     writer.allocate("X_train", (60_000, 1, 28, 28), np.uint8)
    ...     for images in batches:
    ...         writer.append("X_train", images)
    ...     writer.attributes = {"class_names": [...]}
    >>> writer.content
    """

    def __init__(self, path: Path, kind: ArrayFormat, scratch: Path | None = None) -> None:
        self.attributes: dict[str, JSON] = {}
        self.content = ""
        self._path, self._kind = path, kind
        self._place = path if scratch is None else scratch / path.name
        self._file: ArrayFile | None = None
        self._arrays: dict[str, Growing] = {}

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> None:
        """Make room for an array; when all have theirs, rows follow by ``append``."""
        kind = portable(np.dtype(dtype))
        self._opened().allocate(name, shape, kind)
        self._arrays[name] = Growing(hashlib.sha256(array_header(kind, shape)))

    def append(self, name: str, values: np.ndarray) -> None:
        """Write the next rows of array ``name``; ``values``: (rows, ...), of the array's dtype."""
        array, step = self._arrays[name], self._opened().step(name)
        block = np.ascontiguousarray(values, dtype=self._opened().dtype(name))
        if array.waiting or len(block) % step:
            if array.rows - array.written + len(block) < step:
                array.waiting.append(block.copy())
                return
            block = np.concatenate([*array.waiting, block])
            whole = len(block) - len(block) % step
            array.waiting = [block[whole:].copy()] if whole < len(block) else []
            block = block[:whole]
        self._write(name, block)

    def state(self) -> tuple[dict[str, np.ndarray], JSON]:
        """Flush all that the file has; give the rows that it does not have, and what tells that it has the others.

        Raises:
            StoreError: the disk failed. What it dropped cannot be told any more, so the file is removed.
        """
        layout = self._opened().layout()
        try:
            with explained(self._place):
                flush(self._place)
        except StoreError:
            self._discard()
            raise
        waiting = {name: np.concatenate(array.waiting) for name, array in self._arrays.items() if array.waiting}
        arrays = {name: [array.written, array.state.hexdigest()] for name, array in self._arrays.items()}
        return waiting, {"layout": layout, "arrays": arrays}

    def resume(self, waiting: Mapping[str, np.ndarray], state: JSON) -> bool:
        """Go on from a ``state`` that another writer kept; False if the file no longer has what it tells of."""
        try:
            if not keeps_layout(self._place, state["layout"]):
                return False
            self._file = reopen_arrays(self._place)
            self._arrays = {name: self._regrown(name, *told) for name, told in state["arrays"].items()}
        # What h5py, zarr and zstd raise on rows that are damaged.
        except (OSError, RuntimeError, ValueError, KeyError):
            self._arrays = {}
        if not self._arrays:
            self._close()
            return False
        for name, rows in waiting.items():
            self._arrays[name].waiting = [rows]
        return True

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._close()

    # -- inside ----------------------------------------------------------------------------------------------

    def _opened(self) -> ArrayFile:
        if self._file is None:
            if self._place != self._path:
                self._discard()  # what somebody left who cannot be followed
                with explained(self._place):
                    make_directory(self._place.parent)
            self._file = create_arrays(self._place, self._kind)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _discard(self) -> None:
        self._close()
        if self._place.is_dir():
            shutil.rmtree(self._place)
        else:
            self._place.unlink(missing_ok=True)

    def _write(self, name: str, block: np.ndarray) -> None:
        array = self._arrays[name]
        array.state.update(block.data if block.size else b"")
        self._opened().write(name, array.written, block)
        array.written += len(block)

    def _regrown(self, name: str, written: int, digest: str) -> Growing:
        file = self._opened()
        array = Growing(hashlib.sha256(array_header(file.dtype(name), file.shape(name))), written)
        for block in blocks(file, name, stop=written):
            array.state.update(block.data if block.size else b"")
        if array.state.hexdigest() != digest:
            raise ValueError(f"rows of {name} are not those that were written")
        return array

    def _finish(self) -> None:
        file = self._opened()
        for name, array in self._arrays.items():
            if array.rows != file.shape(name)[0]:
                raise StoreError(
                    f"array {name} is not whole",
                    expected=f"{file.shape(name)[0]} rows",
                    found=f"{array.rows} rows",
                )
            if array.waiting:
                self._write(name, np.concatenate(array.waiting))
        self._close()
        if self._place != self._path:
            os.rename(self._place, self._path)
        self._file = reopen_arrays(self._path)
        self._file.set_attributes(self.attributes)
        self.content = combine({name: a.state.hexdigest() for name, a in self._arrays.items()}, self.attributes)
