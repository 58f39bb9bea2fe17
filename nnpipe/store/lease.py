"""Leases: which runs are under way, told by a lock that goes with its owner."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from nnpipe.store.durable import explained, make_directory
from nnpipe.store.locks import held

WEEK = 7 * 24 * 3600.0  # what a killed run left stays as long: it can be resumed


class Lease:
    """A run under way. What it makes or reuses stays until it is released, however long that takes.

    The lock goes with its owner; a run that died without releasing counts as under way for a week from its beginning.
    """

    def __init__(self, root: Path, run: str) -> None:
        from filelock import FileLock

        self._path = root / "live" / f"{run}.lock"
        with explained(self._path):
            make_directory(self._path.parent)
            self._lock = FileLock(self._path, thread_local=False)  # a run may end in another thread than it began in
            self._lock.acquire()

    def release(self) -> None:
        """End the run; what it used is as old as it is."""
        self._path.unlink(missing_ok=True)
        self._lock.release()


def leases(root: Path, now: float) -> Iterator[tuple[Path, bool]]:
    """Every lease in the store at ``root``, and whether its run counts as under way."""
    for path in sorted((root / "live").glob("????????-??????-*.lock")):
        yield path, held(path) or began(path.stem) > now - WEEK


def began(run: str) -> float:
    """When a run began (seconds since the epoch): its name tells, whatever became of the times of its files."""
    return datetime.strptime(run[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
