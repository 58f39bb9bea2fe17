"""Memory of a process, as Linux tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread


def resident(process: int | str = "self") -> int:
    """Bytes of a process, by its number, that are in memory."""
    return _told("VmRSS", process)


def anonymous(process: int | str = "self") -> int:
    """Those of them that no file stands behind."""
    return _told("RssAnon", process)


@contextmanager
def sampled() -> Iterator[list[int]]:
    """Anonymous memory of this process, in bytes, ten times a second."""
    found, over = [anonymous()], Event()

    def watch() -> None:
        while not over.wait(0.1):
            found.append(anonymous())

    thread = Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _told(name: str, process: int | str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024
