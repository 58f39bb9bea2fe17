"""Taking garbage out of sight, in a moment and under its own lock where it has one; the trash is deleted later."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnpipe.store.collect import Garbage


def take_out(root: Path, item: Garbage, trash: Path) -> bool:
    """Take something out of sight in the store at ``root``; whether it was there, and nobody at work on it."""
    if item.key is None:
        return _take(item.path, trash)
    from filelock import FileLock, Timeout

    path = root / "locks" / f"{item.key}.lock"
    known = path.exists()
    try:
        with FileLock(path, timeout=0):
            taken = _take(item.path, trash)
            if item.what == "lock":
                path.with_suffix(".owner").unlink(missing_ok=True)
            elif not known:
                path.unlink()  # made by us just now
            return taken
    except Timeout:
        return False


def _take(path: Path, trash: Path) -> bool:
    try:
        if path.is_dir():
            os.rename(path, trash / f"{path.name}-{uuid.uuid4().hex[:8]}")
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    return True
