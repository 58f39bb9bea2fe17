"""What every source of data offers: a description before reading, a fingerprint, and its examples in blocks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

from pydantic import AfterValidator, Field

from nnpipe.spec import Part, problem

if TYPE_CHECKING:
    import numpy as np

Block = tuple["np.ndarray", "np.ndarray"]  # examples (rows, ...), and labels (rows,) or targets (rows, targets)

BLOCK_BYTES = 4 << 20


def _without_twins(one: str, many: str) -> AfterValidator:
    def refuse(names: tuple[str, ...]) -> tuple[str, ...]:
        for index, name in enumerate(names):
            if name in names[:index]:
                expected = f"a name of its own for each {one}"
                raise problem(f"two {many} are called {name!r}", expected=expected, found=name)
        return names

    return AfterValidator(refuse)


ClassNames = Annotated[tuple[str, ...], Field(min_length=2), _without_twins("class", "classes")]
TargetNames = Annotated[tuple[str, ...], Field(min_length=1), _without_twins("target", "targets")]


class Blocks(Protocol):
    """Reads a split of a source."""

    def __call__(self, split: str, first: int = 0) -> Iterator[Block]:
        """Its examples and answers in order, from row ``first`` on, some hundreds or thousands a block."""


@dataclass(frozen=True)
class Description:
    """What can be told of a source before it is read; None where only reading tells.

    shape: of one example, (features,) or (channels, height, width).
    classes: their number; 0 where an example's answer is numbers, ``targets`` of them.
    """

    shape: tuple[int, ...] | None = None
    classes: int | None = None
    targets: int = 0


@dataclass(frozen=True)
class Opened:
    """A source ready to be read, block by block: memory does not grow with the number of examples.

    splits: how many examples the source has by its own split, ``train`` and perhaps ``test``.
    shape, dtype: of one example as it will be kept: uint8 or float32.
    value_range: the smallest and largest value that an example can hold, None where it is not bounded.
    class_names: one a class, in the order of labels 0, 1, ...; empty where the answers are numbers.
    blocks: from the name of a split, and the number of the first row that is wanted, to its (examples, answers).
        Answers are labels, (rows,) int64, or targets, (rows, targets) finite float32.
    target_names: one a number of a target; empty where the answers are classes.
    """

    splits: Mapping[str, int]
    shape: tuple[int, ...]
    dtype: np.dtype
    value_range: tuple[float, float] | None
    class_names: tuple[str, ...]
    blocks: Blocks
    target_names: tuple[str, ...] = ()


class Source(Part):
    """Where data comes from, as a spec says it. ``describe`` and ``files`` are called when planning: nothing heavy."""

    unkeyed: ClassVar[frozenset[str]] = frozenset()
    kind: str

    def describe(self, root: Path) -> Description:
        """What is known without reading the data. ``root``: the folder that relative paths start from."""
        return Description()

    def files(self, root: Path) -> list[Path] | None:
        """The files whose content is the data, in the order of their roles: hashed into the recipe key.

        None: they are not there yet.

        Empty for data that the code itself makes.
        """
        return []

    def fetch(self, root: Path) -> None:
        """Bring the files where they belong if they are not there, or raise DataError that says what to put where."""

    @abstractmethod
    def open(self, root: Path, seed: int) -> Opened:
        """Check the data's shape and counts, and make it ready to be read.

        Raises:
            DataError: the data is broken; names the file.
        """


def block_rows(shape: tuple[int, ...], itemsize: int) -> int:
    """How many examples of ``shape`` make a block of about 4 MB."""
    return max(1, BLOCK_BYTES // max(1, itemsize * math.prod(shape)))


def skip_rows(blocks: Iterable[Block], rows: int) -> Iterator[Block]:
    """``blocks`` without their first ``rows`` rows: for sources that can only begin at the beginning."""
    for examples, labels in blocks:
        if rows < len(labels):
            yield examples[rows:], labels[rows:]
        rows = max(0, rows - len(labels))
