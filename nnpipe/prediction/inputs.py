"""New examples from the files that people have them in, as a network wants them, a block at a time."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nnpipe.datasets.image_files import SUFFIXES, read_image
from nnpipe.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from nnpipe.models.scaling import Scaling

Item = TypeVar("Item")
ARRAY_FILES = (".npz", ".h5", ".hdf5", ".zarr")
USUAL_NAMES = ("X_test", "X", "images", "x_test", "x")  # of the array of examples, where a file has several

BYTES = (0.0, 255.0)


@dataclass(frozen=True)
class Block:
    """Some examples. names: what each is called: its file, or its row from 0; values: (n, *input_shape), not scaled."""

    names: list[str]
    values: np.ndarray


@dataclass(frozen=True)
class Reading:
    """How to read examples.

    shape: of one, as the network wants it; scaling: the network's, whose range images are stretched to.
    array: the array in a file of several; resize: whether images of another size are brought to the network's.
    rows: of a block, at most.
    """

    shape: tuple[int, ...]
    scaling: Scaling
    array: str | None = None
    resize: bool = False
    rows: int = 256

    def blocks(self, path: Path) -> Iterator[Block]:
        """The examples at ``path``: an image, a folder of images, .npy, .npz, .h5, .zarr, .csv, .tsv or IDX.

        Raises:
            UsageError: there is nothing there, or nothing of these.
            DataError: it is damaged, or its examples are of another shape.
        """
        if not path.exists():
            raise UsageError("no such file or folder", where=str(path), expected="examples")
        if path.is_dir() and path.suffix != ".zarr":
            yield from self._images(_images_in(path), path)
        elif path.suffix.lower() in SUFFIXES:
            yield from self._images([path], path.parent)
        elif path.suffix in (".csv", ".tsv"):
            yield from self._table(path)
        else:
            first = 0
            for block in self._arrays(path):
                yield Block(
                    [str(row) for row in range(first, first + len(block))], self.fitted(block, str(path), first)
                )
                first += len(block)

    def _images(self, paths: Iterable[Path], folder: Path) -> Iterator[Block]:
        shape = self.image_shape()
        for group in _grouped(paths, self.rows):
            images = np.stack(
                [read_image(p, shape, resize=self.resize, hint="--resize brings it to this size") for p in group]
            )
            yield Block([str(path.relative_to(folder)) for path in group], self.stretched(images))

    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images that the network reads.

        Raises:
            DataError: it reads none.
        """
        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise DataError("the network does not read images", expected=_words(self.shape), found="an image")
        return self.shape[0], self.shape[1], self.shape[2]

    def stretched(self, images: np.ndarray) -> np.ndarray:
        """Images of bytes in the range of the values that the network learnt from."""
        low, high = self.scaling.range or BYTES
        if (low, high) == BYTES:
            return images
        return (low + images / np.float32(255) * np.float32(high - low)).astype(np.float32)

    def _table(self, path: Path) -> Iterator[Block]:
        """Rows of numbers; a first row that is none is a header."""
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = enumerate(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","), start=1)
                told = ((number, row) for number, row in rows if row)
                head = next(told, None)
                whole = told if head is None or _is_header(head[1]) else chain([head], told)
                first = 0
                for group in _grouped(whole, self.rows):
                    values = np.stack([self._row(row, path, number) for number, row in group])
                    yield Block(
                        [str(first + place) for place in range(len(group))], self.fitted(values, str(path), first)
                    )
                    first += len(group)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError("the table cannot be read", where=str(path), found=str(error)) from error

    def _row(self, row: list[str], path: Path, number: int) -> np.ndarray:
        try:
            values = np.array([float(word) for word in row], np.float32)
        except ValueError as error:
            raise DataError(
                "not a row of numbers", where=f"{path}:{number}", expected="numbers", found=str(error)
            ) from error
        if len(row) != math.prod(self.shape):
            raise DataError(
                "a row of another length",
                where=f"{path}:{number}",
                expected=f"{math.prod(self.shape)} numbers",
                found=str(len(row)),
            )
        return values

    def _arrays(self, path: Path) -> Iterator[np.ndarray]:
        if path.suffix == ".npy":
            yield from self._npy(path)
        elif path.suffix in ARRAY_FILES:
            from nnpipe.datasets.array_files import open_file

            with open_file(path) as file:
                name = self._chosen(file.names(), path)
                self._check(file.shape(name), file.dtype(name), path)
                yield from file.blocks(name, self.rows)
        elif "ubyte" in path.name or ".idx" in path.suffixes:
            from nnpipe.datasets.idx import open_idx

            idx = open_idx(path, (2, 3, 4))
            self._check(idx.shape, idx.dtype, path)
            yield from idx.blocks(self.rows)
        else:
            expected = f"an image, a folder of images, .npy, {', '.join(ARRAY_FILES)}, .csv, .tsv or an IDX file"
            raise UsageError("no kind of file that examples are read from", where=str(path), expected=expected)

    def _npy(self, path: Path) -> Iterator[np.ndarray]:
        try:
            whole = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # of its header, which is Python's grammar, any
            raise DataError("not a readable .npy file", where=str(path), found=str(error)) from error
        self._check(whole.shape, whole.dtype, path)
        for start in range(0, len(whole), self.rows):
            yield np.asarray(whole[start : start + self.rows])

    def _chosen(self, names: list[str], path: Path) -> str:
        usual = [name for name in USUAL_NAMES if name in names]
        chosen = self.array or (names[0] if len(names) == 1 else usual[0] if usual else None)
        if chosen is None or chosen not in names:
            raise UsageError(
                f"no array {chosen!r} in this file" if chosen else "which array holds the examples cannot be told",
                where=str(path),
                expected=f"--array with one of {', '.join(names)}",
                found=chosen,
                hint=nearest(chosen or "", names),
            )
        return chosen

    def _check(self, shape: tuple[int, ...], dtype: np.dtype, path: Path) -> None:
        """Refuse an array that holds no examples before any of it is read: one row could be larger than memory."""
        from nnpipe.datasets.examples import kept_dtype
        from nnpipe.datasets.idx import LARGEST_RATIO

        if not shape:
            raise DataError("not an array of examples", where=str(path), found="one number")
        kept_dtype(dtype, str(path))
        self._channels_last(shape[1:], str(path))
        size, most = math.prod(shape) * dtype.itemsize, path.stat().st_size * LARGEST_RATIO
        if size > most and path.is_file():
            raise DataError(
                "an array that claims more than the file can hold",
                where=str(path),
                expected=f"at most {most:,} bytes",
                found=f"{size:,} bytes, shape ({_tuple(shape)})",
            )

    def fitted(self, block: np.ndarray, where: str, first: int = 0) -> np.ndarray:
        """(n, *shape), from flattened examples too, from those without an axis of channels or with it last."""
        from nnpipe.datasets.examples import checked_examples

        if self._channels_last(block.shape[1:], where):
            block = np.ascontiguousarray(block.transpose(0, 3, 1, 2))
        return checked_examples(block, where, first).reshape(len(block), *self.shape)

    def _channels_last(self, own: tuple[int, ...], where: str) -> bool:
        """Whether examples of shape ``own`` have their axes in another order than the network wants."""
        if own in (self.shape, (math.prod(self.shape),)) or (1, *own) == self.shape:
            return False
        if len(self.shape) == 3 and own == (*self.shape[1:], self.shape[0]):
            return True
        raise DataError(
            "examples of another shape", where=where, expected=_words(self.shape), found=f"shape (n, {_tuple(own)})"
        )


def _grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def _images_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not found:
        raise DataError("a folder without images", where=str(folder), expected="images: " + ", ".join(sorted(SUFFIXES)))
    return found


def _is_header(row: list[str]) -> bool:
    """Whether no word of it is a number: a row with some is a row of examples, right or wrong."""
    return not any(_is_number(word) for word in row)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _words(shape: tuple[int, ...]) -> str:
    return f"shape (n, {_tuple(shape)})"


def _tuple(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
