"""The stage that reads a source once, block by block, and keeps it divided, checked and described.

Memory grows with the number of examples by a byte an example, the split that each goes to, and not by the examples.
A checkpoint holds where reading stands and what the rows that are written give; the rows stay in the file, which is
flushed before. Whoever goes on reads them again and compares: rows that came later are simply written once more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nnpipe.datasets.sources import AnySource
from nnpipe.errors import Interrupted
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.datasets.answers import Answers
    from nnpipe.datasets.sources.source import Block, Opened
    from nnpipe.datasets.splits import Splits
    from nnpipe.datasets.statistics import RunningStatistics
    from nnpipe.stages.work import Work
    from nnpipe.store.array_writer import ArrayWriter
    from nnpipe.store.canonical import JSON

FORMAT = "nnpipe-data/1"
TELL_EVERY = 0.2  # seconds


class Ingest(Part):
    """What of a spec's ``data`` determines the stored arrays; their seed is the stage's."""

    source: AnySource
    format: Literal["hdf5", "zarr"] = "hdf5"
    validation: int | float = 0
    test: int | float | None = None
    binary: Literal["sample", "threshold"] | None = None


def ingest(config: Ingest, work: Work) -> None:
    """Write ``data``: X_train, y_train and so on, with their statistics. Form: docs/artifact-format.md.

    Raises:
        DataError: the source is broken, too small to be divided so, without bounds where it is to be made binary, or
            has one class or one target only.
        Interrupted: somebody asked to stop; a checkpoint is kept.
    """
    from nnpipe.datasets.answers import answers_of
    from nnpipe.datasets.splits import make_splits

    opened = config.source.open(work.root, work.seed)
    if config.binary:
        from nnpipe.datasets.binary import made_binary

        opened = made_binary(opened, config.binary, work.seed)
    splits = make_splits(opened.splits, config.validation, config.test, work.seed)
    answers = answers_of(opened, splits.sizes)
    with work.output.arrays("data", config.format, work.checkpoints.scratch) as writer:
        statistics = _copy(writer, opened, splits, answers, work)
        answers.check(config.source.kind)
        about = answers.statistics()
        writer.attributes = {
            "format": FORMAT,
            "source": config.source.kind,
            "input_shape": list(opened.shape),
            **answers.attributes,
            "value_range": list(opened.value_range) if opened.value_range else None,
            "statistics": {**statistics, **about},
        }
    work.output.summary = {
        "input_shape": list(opened.shape),
        "classes": len(opened.class_names),
        **answers.attributes,
        "value_range": list(opened.value_range) if opened.value_range else None,
        "examples": splits.sizes,
        "statistics": {name: statistics[name] for name in ("mean", "std", "min", "max")},
        **about,
    }


def _allocate(writer: ArrayWriter, opened: Opened, splits: Splits, answers: Answers) -> None:
    for name, size in splits.sizes.items():
        if size:
            writer.allocate(f"X_{name}", (size, *opened.shape), opened.dtype)
            writer.allocate(f"y_{name}", (size, *answers.shape), answers.dtype)


def _copy(writer: ArrayWriter, opened: Opened, splits: Splits, answers: Answers, work: Work) -> dict[str, JSON]:
    """Write every example; give the training examples' statistics."""
    from nnpipe.datasets.statistics import RunningStatistics

    statistics = RunningStatistics(opened.shape)
    reading = Reading(writer, next(iter(opened.splits)), 0, statistics, answers)
    if not any(reading.resume(*state) for state in work.checkpoints.newest_first()):
        _allocate(writer, opened, splits, answers)
    for own, first, block in _blocks(opened, reading, work):
        for name, (examples, answer) in splits.parts(own, first, block):
            writer.append(f"X_{name}", examples)
            writer.append(f"y_{name}", answer)
            answers.add(name, answer)
            if name == "train":
                statistics.add(examples)
    return statistics.to_json()


@dataclass
class Reading:
    """How far reading has come.

    split, row: of the source's own, where the next example comes from.
    answers: what was found in the labels or targets so far.
    """

    writer: ArrayWriter
    split: str
    row: int
    statistics: RunningStatistics
    answers: Answers

    def state(self) -> tuple[dict[str, np.ndarray], JSON]:
        """Flush what is written; give what a checkpoint has to keep."""
        waiting, written = self.writer.state()
        parts = {"rows": waiting, "answers": self.answers.state(), "statistics": self.statistics.state()}
        tensors = {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}
        return tensors, {"split": self.split, "row": self.row, "written": written}

    def resume(self, tensors: dict[str, np.ndarray], document: JSON) -> bool:
        """Go on from a checkpoint, if what it tells of is still in the file."""
        parts: dict[str, dict[str, np.ndarray]] = {"rows": {}, "answers": {}, "statistics": {}}
        for name, array in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        if not self.writer.resume(parts["rows"], document["written"]):
            return False
        self.split, self.row = document["split"], document["row"]
        self.statistics.resume(parts["statistics"])
        self.answers.resume(parts["answers"])
        return True


def _blocks(opened: Opened, reading: Reading, work: Work) -> Iterator[tuple[str, int, Block]]:
    """Every block that is still to be read, with the source's split it comes from and its first row's number there.

    A checkpoint is kept between blocks, when each is where it belongs.
    """
    names, sizes = list(opened.splits), opened.splits
    total, told = sum(sizes.values()), -math.inf
    done = sum(sizes[name] for name in names[: names.index(reading.split)]) + reading.row
    for own in names[names.index(reading.split) :]:
        first = reading.row if own == reading.split else 0
        for block in opened.blocks(own, first):
            yield own, first, block
            first += len(block[1])
            done += len(block[1])
            reading.split, reading.row = own, first
            if done == total or time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                work.advanced(done, total, {})
            stopping = work.stopping.is_set()
            if done < total and (stopping or work.checkpoints.due()):
                work.checkpoints.save(*reading.state())
            if done < total and stopping:
                raise Interrupted(f"stopped after reading {done} of {total} examples; it can be resumed")
