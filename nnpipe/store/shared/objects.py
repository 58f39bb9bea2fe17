"""Named bytes in a place that many machines reach: a bucket, or a folder of a network file system.

What shared stores rest on is ``create``: of all who create one name, exactly one is told that it did.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnpipe.errors import StoreError, UsageError
from nnpipe.store.durable import flush, make_directory, write_file

EXTRAS = {"s3": "s3", "gs": "gs"}  # protocol -> what to install: nnpipe[s3]
AT_ONCE = 16  # requests


class RemoteError(StoreError):
    """The place of a shared store cannot be reached, or lets us not in."""


@dataclass(frozen=True)
class Entry:
    """An object in a listing: its name, its bytes, and when it was written by the clock of the place (epoch)."""

    name: str
    size: int
    modified: float


class Objects(Protocol):
    """Objects by name, as ``recipes/ab/<key>.json``. Whatever is read was written whole by one writer.

    Every call raises RemoteError where the place cannot be reached; reading what is not there is a FileNotFoundError.
    """

    url: str

    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None: ...
    def create(self, name: str, data: bytes) -> bool:
        """Write an object that must not be there; whether it was not, and now is ours."""

    def upload(self, source: Path, name: str) -> None: ...
    def download(self, name: str, target: Path) -> None: ...
    def copy(self, name: str, target: str) -> None: ...
    def remove(self, *names: str) -> None:
        """Remove objects, in this order where it matters; those that are not there are no error."""

    def entries(self, prefix: str) -> list[Entry]:
        """Every object whose name begins with ``prefix`` and a slash, sorted by name."""


def objects_at(url: str) -> Objects:
    """What speaks to the place at ``url``: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER.

    Raises:
        UsageError: it is no such URL, or a package is missing.
    """
    protocol, _, place = url.partition("://")
    if protocol == "file" and place.startswith("/"):
        return Folder(Path(place))
    if protocol in EXTRAS and place.strip("/"):
        from nnpipe.store.shared.bucket import Bucket

        return Bucket(url)
    expected = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, file:///FOLDER, or the path of a folder"
    raise UsageError("not the place of a store", expected=expected, found=url)


def read_many(objects: Objects, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Those of ``names`` that are there, with their bytes; several are asked for at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, data in zip(names, pool.map(lambda name: _read(objects, name), names), strict=True):
            if data is not None:
                yield name, data


def _read(objects: Objects, name: str) -> bytes | None:
    try:
        return objects.read(name)
    except FileNotFoundError:
        return None


# -- a folder ------------------------------------------------------------------------------------------------


class Folder:
    """A folder that several machines mount. It needs atomic renames and hard links, and no locks: as NFS has them.

    fsspec's own file system writes in place, and its ``mode="create"`` looks first and writes then; so it is not used.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, f"file://{root}"

    def read(self, name: str) -> bytes:
        with self._told(name):
            return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        with self._told(name, writing=True):
            write_file(self.root / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self.root / name
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with self._told(name, writing=True):
            write_file(beside, data)
            try:
                os.link(beside, path)  # refused, in one step, where there is something
            except FileExistsError:
                return False
            finally:
                beside.unlink()
            flush(path)
        return True

    def upload(self, source: Path, name: str) -> None:
        self._put(source, self.root / name)

    def download(self, name: str, target: Path) -> None:
        with self._told(name):
            source = open(self.root / name, "rb")  # noqa: SIM115 - what fails below is another disk
        with source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)

    def copy(self, name: str, target: str) -> None:
        if not (self.root / name).exists():
            raise FileNotFoundError(name)
        self._put(self.root / name, self.root / target)

    def remove(self, *names: str) -> None:
        for name in names:
            with suppress(FileNotFoundError), self._told(name):
                (self.root / name).unlink()

    def entries(self, prefix: str) -> list[Entry]:
        found = []
        for folder, _, files in os.walk(self.root / prefix):
            for path in (Path(folder, name) for name in files):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    found.append(Entry(path.relative_to(self.root).as_posix(), status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: entry.name)

    def _put(self, source: Path, path: Path) -> None:
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with self._told(path.relative_to(self.root).as_posix(), writing=True):
            make_directory(path.parent)
            try:
                shutil.copyfile(source, beside)
                flush(beside)
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            flush(path)

    @contextmanager
    def _told(self, name: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not writing:
                raise FileNotFoundError(name) from error
            cause = error.__cause__ if isinstance(error, StoreError) else error
            found = (cause.strerror if isinstance(cause, OSError) else "") or str(cause or error)
            hint = "is the folder mounted, and may you write there?"
            raise RemoteError("the shared folder fails", where=f"{self.url}/{name}", found=found, hint=hint) from error
