"""Opening a store by its place: the path of a folder, or the URL of a shared one."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.store.store import Store

if TYPE_CHECKING:
    from nnpipe.store.shared.store import SharedStore

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters and more: no drive of Windows; Path() merges slashes
CACHE = "NNPIPE_CACHE"  # the folder of the caches of shared stores


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether a place is that of a shared store."""
    return bool(URL.match(os.fspath(place)))


def to_stderr(line: str) -> None:
    """Tell people a line."""
    print(line, file=sys.stderr)


def open_store(place: str | os.PathLike[str], tell: Callable[[str], None] = to_stderr) -> Store:
    """The store at ``place``. Opening one writes nothing, and asks nobody; what a URL needs is imported for one only.

    tell: tells people a line when a shared store is away, and when it is back.

    Raises:
        UsageError: no such kind of URL, or a package is missing.
        StoreError: the folder holds something else.
    """
    if not is_url(place):
        return Store(Path(place))
    return behind(cache_of(normal(os.fspath(place))), os.fspath(place), tell)


def behind(place: str | os.PathLike[str], url: str, tell: Callable[[str], None] = to_stderr) -> SharedStore:
    """The shared store at ``url``, with the store in the folder ``place`` as its cache."""
    from nnpipe.store.shared.remote import remote_at
    from nnpipe.store.shared.store import SharedStore

    return SharedStore(Path(place), remote_at(normal(url)), tell)


def place_of(place: str | os.PathLike[str]) -> str:
    """What ``open_store`` opens from any folder: a URL as it is, the path of a folder whole."""
    return normal(os.fspath(place)) if is_url(place) else str(Path(place).resolve())


def normal(url: str) -> str:
    """One way to write a URL: two slashes after the protocol (three before a folder), none at the end."""
    protocol, _, rest = url.partition(":/")
    rest = rest.rstrip("/")
    return f"{protocol.lower()}://{'/' if protocol.lower() == 'file' else ''}{rest.lstrip('/')}"


def cache_of(url: str) -> Path:
    """The folder of this machine for what the store at ``url`` holds: in ``NNPIPE_CACHE``, or the user's cache."""
    told = os.environ.get(CACHE)
    if told:
        folder = Path(told).expanduser()
    else:
        from platformdirs import user_cache_path

        folder = user_cache_path("nnpipe") / "stores"
    readable = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")[:60]
    return folder / f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
