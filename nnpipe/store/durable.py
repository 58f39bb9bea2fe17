"""Bytes that survive a power cut: written beside, flushed, renamed, and the directory flushed too.

A flush that fails is never tried again (the kernel may have dropped the pages): the write is abandoned.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnpipe.errors import CorruptionError, StoreError
from nnpipe.store.canonical import JSON


def write_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` atomically: a reader sees the old file, the new one, never a part."""
    with explained(path):
        make_directory(path.parent)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        flush_directory(path.parent)


def read_json(path: Path) -> JSON:
    """The JSON value in ``path``, which was written whole by ``write_file``.

    Raises:
        CorruptionError: it is something else now.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptionError("not the JSON that was written", where=str(path), found=str(error)) from error


def move_directory(source: Path, target: Path) -> None:
    """Flush everything in ``source`` and rename it to ``target``; where ``target`` is there already, leave it."""
    with explained(target):
        flush_tree(source)
        make_directory(target.parent)
        try:
            os.rename(source, target)
        except OSError:
            if not target.is_dir():
                raise
            flush_directory(target)  # whoever made it may have died before flushing
        flush_directory(target.parent)


def make_directory(path: Path) -> None:
    """Make ``path`` and the directories above it, each entry flushed."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    flush_directory(path.parent)


def flush_tree(directory: Path) -> None:
    """Flush every file below ``directory``, then every directory."""
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            _flush(Path(folder, name), os.O_RDONLY)
        flush_directory(Path(folder))


def flush(path: Path) -> None:
    """Flush a file or everything in a directory, and the entry that names it."""
    if path.is_dir():
        flush_tree(path)
    else:
        _flush(path, os.O_RDONLY)
    flush_directory(path.parent)


def flush_directory(path: Path) -> None:
    """Flush the entries of a directory."""
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Tell a failing disk as a StoreError that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise no_room(path) from error
        raise StoreError(
            f"cannot write to the store: {error.strerror or error}",
            where=str(path),
            hint="mend the disk or its permissions and run again: nothing is half written, finished stages are kept",
        ) from error


def no_room(path: Path) -> StoreError:
    """The error for a full disk."""
    return StoreError(
        "no room left on the disk of the store",
        where=str(path),
        hint="make room and run again: nothing is half written, finished stages are kept",
    )
