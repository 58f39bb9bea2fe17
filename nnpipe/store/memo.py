"""What need not be found out again: digests of files, how fast this machine is.

Losing it costs time, never truth: it may be deleted at any moment.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from nnpipe.store.canonical import JSON
from nnpipe.store.durable import write_file

SETTLED = 2.0  # seconds: a file younger than this may still change without its times changing


class Memo:
    """A small persistent mapping beside the store, written by ``save``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = self._kept()
        self._learnt: dict[str, JSON] = {}

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return bool(self._learnt)

    def get(self, key: str) -> JSON:
        """What was remembered under ``key``, or None."""
        return self._entries.get(key)

    def put(self, key: str, value: JSON) -> None:
        """Remember ``value`` under ``key``."""
        self._entries[key] = self._learnt[key] = value

    def file_digest(self, path: Path) -> str:
        """SHA-256 of a file's bytes; read again only if its size, time or inode changed."""
        status = path.stat()
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self.get(f"file:{path.resolve()}")
        if known and known[0] == mark:
            return str(known[1])
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time() - status.st_mtime > SETTLED:
            self.put(f"file:{path.resolve()}", [mark, found])
        return found

    def save(self) -> None:
        """Keep what was learnt, and what others kept meanwhile. Not for two at a time."""
        if self._learnt:
            self._entries = {**self._kept(), **self._learnt}
            write_file(self.path, json.dumps(self._entries, sort_keys=True).encode())
            self._learnt = {}

    def _kept(self) -> dict[str, JSON]:
        try:
            return dict(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}
