"""Checkpoints of a stage under way: the last two whole states, each file named by the digest of its bytes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import write_file

if TYPE_CHECKING:
    import numpy as np

    State = tuple[dict[str, np.ndarray], JSON]

KEPT = 2


class DiskCheckpoints:
    """States in ``directory``, by time: the first after a second, then one every ``interval`` seconds.

    A damaged file is passed over for the one before it.
    """

    def __init__(self, directory: Path, interval: float) -> None:
        self.directory, self.interval = directory, interval
        self._next = time.monotonic() + min(1.0, interval)

    @property
    def scratch(self) -> Path:
        """A folder for files under way that states tell of; it goes when they go."""
        return self.directory / "scratch"

    def load(self) -> State | None:
        """The newest state whose bytes are those that were written, or None."""
        return next(self.newest_first(), None)

    def newest_first(self) -> Iterator[State]:
        """Every state whose bytes are those that were written: for whoever may have to do with an older one."""
        return (state for path in reversed(self._files()) if (state := _read(path)))

    def save(self, tensors: Mapping[str, np.ndarray], document: JSON) -> None:
        """Keep a state; older ones go only when this one is whole."""
        import numpy as np
        from safetensors.numpy import save

        text = np.frombuffer(canonical_json(document), dtype=np.uint8)
        data = save({**{name: np.ascontiguousarray(t) for name, t in tensors.items()}, "document": text})
        files = self._files()
        number = int(files[-1].stem.split("-")[1]) + 1 if files else 1
        name = f"checkpoint-{number:08d}-{hashlib.sha256(data).hexdigest()}.safetensors"
        write_file(self.directory / name, data)
        for path in self._files()[:-KEPT]:
            path.unlink(missing_ok=True)
        self._next = time.monotonic() + self.interval

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() >= self._next

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("checkpoint-*.safetensors"))


def _read(path: Path) -> State | None:
    """The state in a file; None if it cannot be read, or is not what was written."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.stem.rpartition("-")[2]:
            return None
        tensors = dict(load(data))
        return tensors, json.loads(tensors.pop("document").tobytes())
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
