"""Digests that are fed in a thread of their own, so that the next block is read or written meanwhile."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

AHEAD = 2  # blocks that may wait to be hashed: enough that the thread never waits for them


class Hashing:
    """Feeds blocks of numbers to digests, in order; hashing releases Python's lock."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._under_way: deque[Future[None]] = deque()

    def feed(self, state: hashlib._Hash, block: np.ndarray) -> None:
        """Hash ``block``, (rows, ...) in C order, which nobody may change before ``wait`` returns."""
        if len(self._under_way) == AHEAD:
            self._under_way.popleft().result()
        if block.size:
            self._under_way.append(self._thread.submit(state.update, block.data))

    def wait(self) -> None:
        """Return when everything is hashed."""
        while self._under_way:
            self._under_way.popleft().result()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def __enter__(self) -> Hashing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
