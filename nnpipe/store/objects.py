"""Named bytes in a place that many machines reach: a bucket, or a folder of a network file system.

What shared stores rest on is ``create``: of all who create one name, exactly one is told that it did.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nnpipe.errors import StoreError, UsageError
from nnpipe.store.durable import flush, make_directory, write_file

EXTRAS = {"s3": "s3", "gs": "gs"}  # protocol -> what to install: nnpipe[s3]
AT_ONCE = 16  # requests
CONFIG = {"retries": {"mode": "standard", "total_max_attempts": 3}}  # botocore's; s3fs waits 5 s for a connection
REFUSED = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "RefreshError")


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
        with self._told(name):
            write_file(self.root / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self.root / name
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with self._told(name):
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
        self._put(self.root / name, self.root / target)

    def remove(self, *names: str) -> None:
        for name in names:
            with self._told(name), suppress(FileNotFoundError):
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
        with self._told(path.relative_to(self.root).as_posix()):
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
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(name) from error
        except OSError as error:
            hint = "is the folder mounted, and may you write there?"
            raise RemoteError(
                f"the shared folder fails: {error.strerror or error}", where=f"{self.url}/{name}", hint=hint
            ) from error


# -- a bucket ------------------------------------------------------------------------------------------------


class Bucket:
    """A bucket, through fsspec. Its objects appear whole, and ``create`` is the server's: S3's ``If-None-Match``,
    Google's ``ifGenerationMatch=0``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._protocol, _, self._root = self.url.partition("://")
        self._fs = self._opened()

    def _opened(self) -> Any:
        import fsspec

        own = {"config_kwargs": CONFIG} if self._protocol == "s3" else {}
        try:
            # Listings are never remembered: others write meanwhile. An instance of our own: nobody else configured it.
            return fsspec.filesystem(self._protocol, use_listings_cache=False, skip_instance_cache=True, **own)
        except ImportError as error:
            hint = f'pip install "nnpipe[{EXTRAS[self._protocol]}]"'
            raise UsageError(f"{self._protocol}:// needs a package more", found=str(error), hint=hint) from error

    def read(self, name: str) -> bytes:
        with self._told(name):
            return bytes(self._fs.cat_file(self._at(name), start=0))  # a range: else s3fs asks for the size first

    def write(self, name: str, data: bytes) -> None:
        with self._told(name):
            self._fs.pipe_file(self._at(name), data)

    def create(self, name: str, data: bytes) -> bool:
        try:
            with self._told(name):
                self._fs.pipe_file(self._at(name), data, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, source: Path, name: str) -> None:
        with self._told(name):
            self._fs.put_file(str(source), self._at(name))

    def download(self, name: str, target: Path) -> None:
        with self._told(name, local=target):
            self._fs.get_file(self._at(name), str(target))

    def copy(self, name: str, target: str) -> None:
        with self._told(name):
            self._fs.cp_file(self._at(name), self._at(target))

    def remove(self, *names: str) -> None:
        for name in names:
            with self._told(name), suppress(FileNotFoundError):
                self._fs.rm_file(self._at(name))

    def entries(self, prefix: str) -> list[Entry]:
        with self._told(prefix):
            found = self._fs.find(self._at(prefix), detail=True)
        # A listing that was empty, and is not any more, comes as a folder: what is in it is for the next listing.
        files = {path: about for path, about in found.items() if about["type"] == "file"}
        cut = len(self._root) + 1
        return [Entry(path[cut:], int(about["size"]), _modified(about)) for path, about in sorted(files.items())]

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self, name: str, local: Path | None = None) -> Iterator[None]:
        """Tell whatever a library raises as one of three: it is not there, it is there already, we cannot get at it.

        local: a file of this machine that is written meanwhile: its disk's errors are its own.
        """
        try:
            yield
        except Exception as error:
            code = _code(error)
            if code == "NoSuchBucket":
                raise self._refused(name, "there is no such bucket", error, "make it, or mend the URL") from error
            if isinstance(error, FileNotFoundError):
                raise FileNotFoundError(name) from error
            if isinstance(error, FileExistsError) or code in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise FileExistsError(name) from error
            if local is not None and isinstance(error, OSError) and error.filename == str(local):
                raise
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            if isinstance(error, PermissionError) or type(error).__name__ in REFUSED or "Forbidden" in str(error):
                hint = "set credentials that may read and write there, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                raise self._refused(name, "the bucket does not let us in", error, hint) from error
            hint = "is the network up, and the server (AWS_ENDPOINT_URL) the right one?"
            raise self._refused(name, "the shared store cannot be reached", error, hint) from error

    def _refused(self, name: str, what: str, error: Exception, hint: str) -> RemoteError:
        return RemoteError(what, where=f"{self.url}/{name}", found=f"{type(error).__name__}: {error}", hint=hint)


def _code(error: BaseException) -> str | None:
    """What an S3 server said, under the exception that s3fs made of it."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None


def _modified(about: dict[str, Any]) -> float:
    """When an object was written: S3's listings and Google's call it differently, and both give a datetime."""
    when = about["LastModified"] if "LastModified" in about else about["mtime"]
    return float(when.timestamp())
