"""The data sets that are published as MNIST was: four IDX files in a folder of their own.

They lie under ``NNPIPE_DATA`` and are downloaded only if they are not there, from where torchvision knows them to
be and with its checksums; a download is moved to its place when it is whole.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import ClassVar

from nnpipe.datasets.paths import data_directory
from nnpipe.datasets.sources.source import Description, Opened, Source
from nnpipe.errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SHAPE = (1, 28, 28)
FAILURES = (OSError, HTTPException, RuntimeError)  # URLError is an OSError; a wrong checksum is a RuntimeError
PATIENCE = 30.0  # seconds that a server may say nothing


class WellKnown(Source):
    """A set of torchvision's, ``torchvision_name``, with its ``names`` of classes. Files may be raw or gzipped."""

    torchvision_name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def describe(self, root: Path) -> Description:
        from nnpipe.datasets.labelled_idx import example_shape, open_images

        images = _found(self._folder / FILES["train"][0])
        return Description(example_shape(open_images(images)) if images else SHAPE, len(self.names))

    def files(self, root: Path) -> list[Path] | None:
        found = [_found(self._folder / name) for pair in FILES.values() for name in pair]
        there = [path for path in found if path]
        return there if len(there) == len(found) else None

    def fetch(self, root: Path) -> None:
        if self.files(root) is not None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".download-") as place, _patience():
                self._download(Path(place))
        except FAILURES as error:
            raise self._absent(f"{type(error).__name__}: {error}") from error

    def open(self, root: Path, seed: int) -> Opened:
        from nnpipe.datasets.labelled_idx import open_labelled_idx

        files = self.files(root)
        if files is None:
            raise self._absent("not all of them")
        return open_labelled_idx({"train": (files[0], files[1]), "test": (files[2], files[3])}, self.names)

    @property
    def _folder(self) -> Path:
        return data_directory() / self.kind

    def _download(self, place: Path) -> None:
        from torchvision import datasets
        from torchvision.datasets.utils import download_url

        known = getattr(datasets, self.torchvision_name)
        for name, md5 in known.resources:
            if _found(self._folder / name.removesuffix(".gz")):
                continue
            for number, mirror in enumerate(known.mirrors, start=1):
                try:
                    download_url(mirror + name, str(place), name, md5)
                    break
                except FAILURES:
                    if number == len(known.mirrors):
                        raise
            (place / name).replace(self._folder / name)

    def _absent(self, found: str) -> DataError:
        names = ", ".join(name for pair in FILES.values() for name in pair)
        return DataError(
            f"the files of {self.kind} are not there and could not be downloaded",
            where=str(self._folder),
            expected=f"{names}, each raw or with .gz",
            found=found,
            hint="put them into that folder, or set NNPIPE_DATA to the folder that holds "
            f"{self.kind}/{FILES['train'][0]}.gz and so on",
        )


def _found(path: Path) -> Path | None:
    """The file ``path``, raw or else gzipped."""
    packed = path.with_name(path.name + ".gz")
    return path if path.is_file() else packed if packed.is_file() else None


@contextmanager
def _patience() -> Iterator[None]:
    # torchvision waits for ever; there is no way to tell it otherwise.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
