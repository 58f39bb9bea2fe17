"""What lies at a path, read into the page cache and dropped from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread


def files_of(path: Path) -> list[Path]:
    """The file, or those of a folder."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def read_once(path: Path) -> None:
    """Read all that lies at ``path``, as verifying does."""
    for file in files_of(path):
        with open(file, "rb") as opened:
            hashlib.file_digest(opened, "sha256")


@contextmanager
def dropped(path: Path, *, cold: bool) -> Iterator[None]:
    """Meanwhile the page cache forgets what lies at ``path``, every second, if it is to be ``cold``."""
    over = Event()

    def forget() -> None:
        while not over.wait(1):
            for file in files_of(path):
                with open(file, "rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    thread = Thread(target=forget)
    if cold:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if cold:
            thread.join()
