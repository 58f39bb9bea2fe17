"""A user's own arrays, in an .npz, an HDF5 file or a zarr group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nnpipe.datasets.paths import existing
from nnpipe.datasets.sources.labelled import Labelled
from nnpipe.datasets.sources.source import Block, Opened, TargetNames, block_rows
from nnpipe.errors import DataError
from nnpipe.spec import problem

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.datasets.array_files import NamedArrays

Layout = Literal["auto", "channels_first", "channels_last"]
CHANNELS = (1, 3, 4)  # grey; red, green and blue; with transparency
LABEL_ROWS = 1 << 16


class Arrays(Labelled):
    """Arrays of examples, (n, features), (n, height, width) or with channels, and of labels, (n,), or of numbers.

    The names are those of arrays in the file. Numbers to learn, (n,) or (n, targets), take the place of labels.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})

    kind: Literal["arrays"] = "arrays"
    path: str = Field(description="The file, or the folder of a zarr group.")
    layout: Layout = Field(
        "auto", description="Where the channels of (n, ., ., .) stand; auto: where there are 1, 3 or 4 of them."
    )
    task: Literal["auto", "classification", "regression"] = Field(
        "auto", description="What labels are; auto: classes if all are whole numbers or have class_names, else numbers."
    )
    target_names: TargetNames | None = Field(
        None, description="Of numbers to learn, one a column; left out: the array's name."
    )

    @model_validator(mode="after")
    def _check_names_are_of_the_task(self) -> Self:
        of_classes = self.task == "classification" or self.class_names is not None
        of_numbers = self.task == "regression" or self.target_names is not None
        if of_classes and of_numbers:
            name = "class_names" if self.class_names is not None else "target_names"
            raise problem(
                "labels are classes or numbers to learn, not both",
                path=(name,),
                expected="class_names of classes, or target_names of numbers",
                found=f"{name} with {'target_names' if self.task == 'auto' else f'task {self.task}'}",
            )
        return self

    def files(self, root: Path) -> list[Path]:
        path = self._path(root)
        return [path] if path.is_file() else sorted(inner for inner in path.rglob("*") if inner.is_file())

    def open(self, root: Path, seed: int) -> Opened:
        from nnpipe.datasets.array_files import open_file
        from nnpipe.datasets.examples import check_alike, kept_dtype, value_range

        path = self._path(root)
        with open_file(path) as file:
            sizes = {split: _count(file, path, *pair) for split, pair in self.pairs().items()}
            dtype = file.dtype(self.images)
            shape, _ = arrangement(file.shape(self.images), self.layout, f"{path}:{self.images}")
            for images, _ in self.pairs().values():
                where = f"{path}:{images}"
                check_alike(
                    arrangement(file.shape(images), self.layout, where)[0], file.dtype(images), shape, dtype, where
                )
            classes, targets = self._answer_names(file, path)
        kept = kept_dtype(dtype, f"{path}:{self.images}")

        def blocks(split: str, first: int = 0) -> Iterator[Block]:
            return self._blocks(path, split, first, len(classes))

        return Opened(sizes, shape, kept, value_range(dtype), classes, blocks, targets)

    def _answer_names(self, file: NamedArrays, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the classes, or else those of the targets."""
        from nnpipe.datasets.examples import are_classes, numbered_classes

        if self.class_names:
            return self.class_names, ()
        numbers = self.task == "regression" or self.target_names is not None
        if not numbers and (
            self.task == "classification"
            or all(are_classes(file.blocks(labels, LABEL_ROWS)) for _, labels in self.pairs().values())
        ):
            return numbered_classes(self._all_labels(file, path), f"{path}:{self.labels}"), ()
        return (), self._target_names(file, path)

    def _target_names(self, file: NamedArrays, path: Path) -> tuple[str, ...]:
        columns = {labels: (*file.shape(labels), 1)[1] for _, labels in self.pairs().values()}
        count = columns[self.labels]
        names = self.target_names or (
            (self.labels,) if count == 1 else tuple(f"{self.labels}[{column}]" for column in range(count))
        )
        for labels, found in columns.items():
            if found != len(names):
                raise DataError(
                    "numbers to learn that differ in their count",
                    where=f"{path}:{labels}",
                    expected=f"{len(names)} for each example: {', '.join(names)}",
                    found=f"{found}",
                )
        return names

    def _blocks(self, path: Path, split: str, first: int, classes: int) -> Iterator[Block]:
        from nnpipe.datasets.array_files import open_file
        from nnpipe.datasets.examples import checked_blocks

        images, labels = self.pairs()[split]
        with open_file(path) as file:
            shape, last = arrangement(file.shape(images), self.layout, f"{path}:{images}")
            rows = block_rows(shape, file.dtype(images).itemsize)
            stored = file.blocks(images, rows, first)
            examples = (block.transpose(0, 3, 1, 2) if last else block.reshape(-1, *shape) for block in stored)
            places = f"{path}:{images}", f"{path}:{labels}"
            yield from checked_blocks(examples, file.blocks(labels, rows, first), places, classes, first)

    def _all_labels(self, file: NamedArrays, path: Path) -> Iterator[np.ndarray]:
        from nnpipe.datasets.examples import checked_labels

        for _, labels in self.pairs().values():
            first = 0
            for block in file.blocks(labels, LABEL_ROWS):
                yield checked_labels(block, f"{path}:{labels}", first)
                first += len(block)

    def _path(self, root: Path) -> Path:
        return existing(root, self.path, "a .npz or .h5 file, or a .zarr folder")


def arrangement(shape: tuple[int, ...], layout: Layout, where: str) -> tuple[tuple[int, ...], bool]:
    """The shape of one example of a stored array, channels first, and whether its channels are stored last.

    Raises:
        DataError: it holds no examples, or does not tell where the channels stand.
    """
    if len(shape) not in (2, 3, 4) or 0 in shape[1:]:
        raise DataError(
            "not an array of examples",
            where=where,
            expected="shape (n, features), (n, height, width) or (n, channels, height, width)",
            found=f"shape {shape}",
        )
    if len(shape) < 4:
        return ((1, *shape[1:]) if len(shape) == 3 else shape[1:]), False
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if layout == "auto" and first == last:
        raise DataError(
            "which dimension holds the channels cannot be told",
            where=where,
            expected="1, 3 or 4 channels, first or last",
            found=f"shape {shape}",
            hint="set layout of the source to channels_first or channels_last",
        )
    if layout == "channels_last" or (layout == "auto" and last):
        return (shape[3], shape[1], shape[2]), True
    return shape[1:], False


def _count(file: NamedArrays, path: Path, images: str, labels: str) -> int:
    from nnpipe.datasets.examples import check_counts, kept_dtype

    rows = file.shape(images)[:1], file.shape(labels)[:1]
    for name, count in zip((images, labels), rows, strict=True):
        kept_dtype(file.dtype(name), f"{path}:{name}")
        if not count:
            raise DataError("a single number, not an array", where=f"{path}:{name}", expected="a row an example")
    check_counts(rows[0][0], rows[1][0], f"{path}:{images}", f"{path}:{labels}")
    return rows[0][0]
