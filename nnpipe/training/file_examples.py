"""Examples that stay in their file, read in large parts ahead of whoever takes them.

What is taken has the same bits as from memory: only when bytes are read differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from nnpipe.models.scaling import Scaling
from nnpipe.training.examples import Examples, Taken

SEQUENTIAL = 8 << 20  # bytes that are read at a time where examples are taken as they stand

Part = TypeVar("Part")


class Rows(Protocol):
    """An array that lies elsewhere. Several threads may ask."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, (n,) int64, in this order: (n, ...)."""


class FileExamples(Examples):
    """Their ``x`` is what ``through`` makes of ``stored``, scaled; ``y`` is in memory, on ``device``.

    An order that is asked for is divided into parts; the rows of one are fetched in the order of the file, in a
    thread, while the examples of the part before are learned from.

    memory: bytes of stored rows that may be held at a time. through: acts on each example by itself, draws nothing.
    """

    def __init__(
        self,
        stored: Rows,
        y: Tensor | None,
        scaling: Scaling,
        device: torch.device | str,
        memory: int,
        through: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._stored, self._through = stored, through
        self._describe(tuple(stored.shape[1:]), y, scaling, torch.device(device))
        self.row_bytes = stored.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))
        # Three parts may be there for a moment: one that was used, the next one, and a beginning of that after it.
        self._part = memory // (3 * max(1, self.row_bytes))
        if through is not None:
            self.shape = tuple(self.rows(0, 1)[0].shape[1:])

    def __len__(self) -> int:
        return self._stored.shape[0]

    def batches(self, order: Tensor, size: int) -> Iterator[Taken]:
        return self._taken(order.split(_whole(self._part, size)), size)  # type: ignore[no-untyped-call]

    def in_order(self, size: int) -> Iterator[Taken]:
        part = _whole(min(self._part, SEQUENTIAL // max(1, self.row_bytes)), size)
        starts = range(0, len(self), part)
        return self._taken((torch.arange(start, min(start + part, len(self))) for start in starts), size)

    def rows(self, start: int, stop: int) -> Taken:
        indices = torch.arange(start, max(start, min(stop, len(self))))
        return self._made(self._read(indices), indices)

    def _taken(self, parts: Iterable[Tensor], size: int) -> Iterator[Taken]:
        for indices, raw in read_ahead((indices, self._read(indices)) for indices in parts):
            for start in range(0, len(indices), size):
                yield self._made(raw[start : start + size], indices[start : start + size])

    def _read(self, indices: Tensor) -> Tensor:
        return torch.from_numpy(self._stored.take(indices.numpy())).to(self.device)

    def _made(self, raw: Tensor, indices: Tensor) -> Taken:
        x = self._scaled(raw.clone())
        if self._through is not None:
            x = self._through(x).contiguous()
        return x, None if self.y is None else self.y.index_select(0, indices.to(self.device))


def _whole(part: int, size: int) -> int:
    """Examples of a part: whole batches of ``size``, at least one."""
    return max(size, part - part % size)


def read_ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The items of ``parts``, each made in a thread while the one before is used. Its errors are raised here."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        waiting = reader.submit(next, parts, None)
        while (part := waiting.result()) is not None:
            waiting = reader.submit(next, parts, None)
            yield part
