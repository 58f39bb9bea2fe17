"""A bucket, through fsspec: S3 and what speaks as it does, and Google's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnpipe.errors import UsageError
from nnpipe.store.shared.objects import EXTRAS, Entry, RemoteError

CONFIG = {"retries": {"mode": "standard", "total_max_attempts": 3}}  # botocore's; s3fs waits 5 s for a connection
REFUSED = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "RefreshError")


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
            # Listings are never remembered: others write meanwhile.
            return fsspec.filesystem(self._protocol, use_listings_cache=False, **own)
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
                raise RemoteError("there is no such bucket", where=self.url, hint="make it, or mend the URL") from error
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
