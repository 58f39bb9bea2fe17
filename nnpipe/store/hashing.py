"""The digests of files that go into an artifact."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnpipe.store.durable import flush_tree


def flush_and_hash(directory: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file, which is flushed meanwhile: the disk and the processor both have to do."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    with ThreadPoolExecutor() as pool:
        flushed = pool.submit(flush_tree, directory)
        names = [path.relative_to(directory).as_posix() for path in paths]
        files = dict(zip(names, pool.map(_size_and_digest, paths), strict=True))
        flushed.result()
    return files


def _size_and_digest(path: Path) -> tuple[int, str]:
    with open(path, "rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
