"""Which examples train, which validate and which test: drawn from the data's seed, and kept in their order.

The test examples are drawn first, so that another number of validation examples leaves them what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nnpipe.datasets.sources.source import Block
from nnpipe.errors import DataError

SPLITS = ("train", "validation", "test")
DEFAULT_TEST = 0.2  # of the data, where the source has no test examples of its own


@dataclass(frozen=True)
class Splits:
    """Where each example goes.

    sizes: number of examples of train, validation and test.
    place: of each example of the source's own training split, (rows,), as an index into ``SPLITS``.
    """

    sizes: dict[str, int]
    place: np.ndarray

    def parts(self, own: str, first: int, block: Block) -> Iterator[tuple[str, Block]]:
        """The parts of a block that go to each split. ``own``: the source's split; ``first``: the block's first row."""
        examples, labels = block
        if own == "test":
            yield "test", block
            return
        place = self.place[first : first + len(labels)]
        for index, name in enumerate(SPLITS):
            here = place == index
            if here.all():
                yield name, block
            elif here.any():
                yield name, (examples[here], labels[here])


def make_splits(own: Mapping[str, int], validation: float, test: float | None, seed: int) -> Splits:
    """Divide a source's examples. ``own``: their numbers by the source's own split, ``train`` and perhaps ``test``.

    validation, test: a whole number of examples, or a fraction: ``test`` of the examples, ``validation`` of those
    that are left. Test None: the source's own, or a fifth of the data where it has none.

    Raises:
        DataError: there are not so many examples.
    """
    rows = own["train"]
    if "test" in own and test is not None:
        raise DataError(
            "the source has test examples of its own",
            where="data.test",
            expected="nothing",
            found=str(test),
            hint="leave data.test out; data.validation takes examples from the training split",
        )
    testing = 0 if "test" in own else _count("test", DEFAULT_TEST if test is None else test, rows)
    validating = _count("validation", validation, rows - testing) if validation else 0
    place = np.zeros(rows, np.uint8)
    if testing or validating:
        order = np.random.Generator(np.random.PCG64(seed)).permutation(rows)
        place[order[:testing]] = SPLITS.index("test")
        place[order[testing : testing + validating]] = SPLITS.index("validation")
    sizes = {"train": rows - testing - validating, "validation": validating, "test": testing + own.get("test", 0)}
    return Splits(sizes, place)


def _count(split: str, wanted: float, available: int) -> int:
    count = wanted if isinstance(wanted, int) else round(wanted * available)
    if not 0 < count < available:
        raise DataError(
            f"{wanted} is not a number of {split} examples that can be taken",
            where=f"data.{split}",
            expected=f"from 1 to {available - 1} of the {available} examples, with some left to train on"
            if available > 1
            else "more examples in the data",
            found=f"{count} examples",
        )
    return count
