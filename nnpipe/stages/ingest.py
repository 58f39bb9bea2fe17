"""The stage that reads a source once, block by block, and keeps it divided, checked and described.

Memory grows with the number of examples by a byte an example, the split that each goes to, and not by the examples.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from nnpipe.datasets.sources import AnySource
from nnpipe.errors import Interrupted
from nnpipe.spec import Part

if TYPE_CHECKING:
    from nnpipe.datasets.answers import Answers
    from nnpipe.datasets.sources.source import Block, Opened
    from nnpipe.datasets.splits import Splits
    from nnpipe.stages.work import Work
    from nnpipe.store.arrays import ArrayWriter
    from nnpipe.store.canonical import JSON

FORMAT = "nnpipe-data/1"
TELL_EVERY = 0.2  # seconds


class Ingest(Part):
    """What of a spec's ``data`` determines the stored arrays; their seed is the stage's."""

    source: AnySource
    format: Literal["hdf5", "zarr"] = "hdf5"
    validation: int | float = 0
    test: int | float | None = None


def ingest(config: Ingest, work: Work) -> None:
    """Write ``data``: X_train, y_train and so on, with their statistics. Form: docs/artifact-format.md.

    Raises:
        DataError: the source is broken, too small to be divided so, or has one class or one target only.
        Interrupted: somebody asked to stop; reading starts anew next time.
    """
    from nnpipe.datasets.answers import answers_of
    from nnpipe.datasets.splits import make_splits

    opened = config.source.open(work.root, work.seed)
    splits = make_splits(opened.splits, config.validation, config.test, work.seed)
    answers = answers_of(opened, splits.sizes)
    with work.output.arrays("data", config.format) as writer:
        _allocate(writer, opened, splits, answers)
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
    for own, first, block in _blocks(opened, work):
        for name, (examples, answer) in splits.parts(own, first, block):
            writer.append(f"X_{name}", examples)
            writer.append(f"y_{name}", answer)
            answers.add(name, answer)
            if name == "train":
                statistics.add(examples)
    return statistics.to_json()


def _blocks(opened: Opened, work: Work) -> Iterator[tuple[str, int, Block]]:
    """Every block with the source's split it comes from and the number of its first row there."""
    done, total, told = 0, sum(opened.splits.values()), 0.0
    for own in opened.splits:
        first = 0
        for block in opened.blocks(own):
            if work.stopping.is_set():
                raise Interrupted(f"stopped after reading {done} of {total} examples")
            yield own, first, block
            first += len(block[1])
            done += len(block[1])
            if done == total or time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                work.advanced(done, total, {})
