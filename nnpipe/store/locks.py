"""Locks by name: one owner at a time among threads and processes, and what waits is told who it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event

from nnpipe.errors import Interrupted
from nnpipe.store.durable import explained, make_directory

WAIT = 0.5  # seconds between two looks at whether to go on waiting for a lock


class Locks:
    """The locks in a folder. They are the operating system's: released when their owner dies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def hold(
        self,
        name: str,
        stopping: Event | None = None,
        owner: str = "somebody",
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Iterator[None]:
        """Hold ``name`` alone.

        stopping: gives up the wait for another owner.
        owner: what others are told who wait for us.
        waiting: is told once whom we wait for, if we have to.

        Raises:
            Interrupted: ``stopping`` was set while waiting.
        """
        from filelock import FileLock, Timeout

        with explained(self.root):
            make_directory(self.root)
        lock, sign = FileLock(self.path(name)), self.root / f"{name}.owner"
        told = False
        while True:
            try:
                lock.acquire(timeout=WAIT)
                break
            except Timeout:
                if not told:
                    waiting(sign.read_text() if sign.exists() else "somebody")
                    told = True
                if stopping is not None and stopping.is_set():
                    raise Interrupted(f"stopped while another process computes {name[:12]}") from None
        try:
            with suppress(OSError):  # a word for those who wait; nothing depends on it
                sign.write_text(owner)
            yield
        finally:
            with suppress(OSError):
                sign.unlink()
            lock.release()

    @contextmanager
    def claim(self, name: str, owner: str = "somebody") -> Iterator[str | None]:
        """Hold ``name`` alone if nobody does. Yields None, or whoever holds it already, in words."""
        at_once, others = Event(), list[str]()
        at_once.set()
        with ExitStack() as held_until:
            with suppress(Interrupted):
                held_until.enter_context(self.hold(name, at_once, owner, others.append))
            yield others[0] if others else None

    def busy(self, name: str) -> bool:
        """Whether somebody holds ``name`` right now."""
        return self.path(name).exists() and held(self.path(name))

    def path(self, name: str) -> Path:
        """The file of a lock; its presence means nothing."""
        return self.root / f"{name}.lock"


def held(path: Path) -> bool:
    """Whether somebody holds the lock of a file right now."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
