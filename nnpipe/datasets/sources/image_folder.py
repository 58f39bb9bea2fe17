"""A folder with one folder of images a class, or with ``train`` and ``test`` above those."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nnpipe.datasets.image_files import SUFFIXES, image_size, read_image
from nnpipe.datasets.paths import existing
from nnpipe.datasets.sources.source import Block, Description, Opened, Source, block_rows
from nnpipe.errors import DataError, nearest

if TYPE_CHECKING:
    import numpy as np

Side = Annotated[int, Field(ge=1)]
Listing = dict[str, list[Path]]  # class -> its images


class ImageFolder(Source):
    """Images that Pillow reads, in the order of their classes' names and then their own."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})

    kind: Literal["image_folder"] = "image_folder"
    path: str = Field(description="The folder.")
    size: tuple[Side, Side] | None = Field(
        None, description="Height and width that all images are resized to; left out: they must be of one size."
    )
    channels: Literal[1, 3] = Field(1, description="1 reads images as grey, 3 as red, green and blue.")

    def describe(self, root: Path) -> Description:
        listing = self._listings(root)["train"]
        height, width = self.size or image_size(next(iter(listing.values()))[0])
        return Description((self.channels, height, width), len(listing))

    def files(self, root: Path) -> list[Path]:
        return [path for listing in self._listings(root).values() for paths in listing.values() for path in paths]

    def open(self, root: Path, seed: int) -> Opened:
        import numpy as np

        listings = self._listings(root)
        names = tuple(listings["train"])
        size = self.size or image_size(listings["train"][names[0]][0])
        shape = (self.channels, *size)

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            images = [(path, names.index(name)) for name, paths in listings[split].items() for path in paths]
            rows = block_rows(shape, 1)
            for start in range(first, len(images), rows):
                block = images[start : start + rows]
                examples = np.stack([self._read(path, size) for path, _ in block])
                yield examples, np.array([label for _, label in block], np.int64)

        sizes = {split: sum(map(len, listing.values())) for split, listing in listings.items()}
        return Opened(sizes, shape, np.dtype(np.uint8), (0.0, 255.0), names, blocks)

    def _listings(self, root: Path) -> dict[str, Listing]:
        """Split -> class -> images."""
        folder = existing(root, self.path, "a folder with one folder of images a class")
        names = [path.name for path in _folders(folder)]
        if "train" not in names or not {"train", "test"}.issuperset(names):
            return {"train": _classes(folder)}
        listings = {name: _classes(folder / name) for name in reversed(names)}
        for name in listings.get("test", ()):
            if name not in listings["train"]:
                raise DataError(
                    f"class {name!r} is tested but not trained",
                    where=str(folder / "test" / name),
                    expected=f"a class of {folder / 'train'}",
                    found=name,
                    hint=nearest(name, listings["train"]),
                )
        return listings

    def _read(self, path: Path, size: tuple[int, int]) -> np.ndarray:
        hint = "give the source a size, [height, width], to resize them all"
        return read_image(path, (self.channels, *size), resize=self.size is not None, hint=hint)


def _classes(folder: Path) -> Listing:
    listing = {path.name: _images(path) for path in _folders(folder)}
    if len(listing) < 2:
        raise DataError(
            "no classes to tell apart",
            where=str(folder),
            expected="at least two folders of images, one a class",
            found=", ".join(listing) or "no folder",
        )
    return listing


def _images(folder: Path) -> list[Path]:
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not images:
        raise DataError(
            f"the folder of class {folder.name!r} is empty",
            where=str(folder),
            expected="images: " + ", ".join(sorted(SUFFIXES)),
            found="none",
        )
    return images


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError("not a folder", where=str(folder), expected="a folder with one folder of images a class")
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
