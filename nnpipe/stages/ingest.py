"""The stage that reads a source once, block by block, and keeps it divided, checked and described.

Memory grows with the number of examples by a byte an example, the split that each goes to, and not by the examples.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from nnpipe.datasets.sources import AnySource
from nnpipe.errors import DataError, Interrupted
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np

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
        DataError: the source is broken, too small to be divided so, or has one class only.
        Interrupted: somebody asked to stop; reading starts anew next time.
    """
    from nnpipe.datasets.splits import make_splits

    opened = config.source.open(work.root, work.seed)
    splits = make_splits(opened.splits, config.validation, config.test, work.seed)
    with work.output.arrays("data", config.format) as writer:
        _allocate(writer, opened, splits)
        statistics, counts = _copy(writer, opened, splits, work)
        _check_classes(counts["train"], opened.class_names, config.source.kind)
        classes = {name: count.tolist() for name, count in counts.items()}
        writer.attributes = {
            "format": FORMAT,
            "source": config.source.kind,
            "input_shape": list(opened.shape),
            "class_names": list(opened.class_names),
            "value_range": list(opened.value_range) if opened.value_range else None,
            "statistics": {**statistics, "class_counts": classes},
        }
    work.output.summary = {
        "input_shape": list(opened.shape),
        "classes": len(opened.class_names),
        "class_names": list(opened.class_names),
        "value_range": list(opened.value_range) if opened.value_range else None,
        "examples": splits.sizes,
        "statistics": {name: statistics[name] for name in ("mean", "std", "min", "max")},
        "class_counts": classes,
    }


def _allocate(writer: ArrayWriter, opened: Opened, splits: Splits) -> None:
    for name, size in splits.sizes.items():
        if size:
            writer.allocate(f"X_{name}", (size, *opened.shape), opened.dtype)
            writer.allocate(f"y_{name}", (size,), "int64")


def _copy(
    writer: ArrayWriter, opened: Opened, splits: Splits, work: Work
) -> tuple[dict[str, JSON], dict[str, np.ndarray]]:
    """Write every example; give the training examples' statistics, and each split's number of examples by class."""
    import numpy as np

    from nnpipe.datasets.statistics import RunningStatistics

    statistics, classes = RunningStatistics(opened.shape), len(opened.class_names)
    counts = {name: np.zeros(classes, np.int64) for name in splits.sizes}
    for own, first, block in _blocks(opened, work):
        for name, (examples, labels) in splits.parts(own, first, block):
            writer.append(f"X_{name}", examples)
            writer.append(f"y_{name}", labels)
            counts[name] += np.bincount(labels, minlength=classes)
            if name == "train":
                statistics.add(examples)
    return statistics.to_json(), counts


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


def _check_classes(counts: np.ndarray, names: tuple[str, ...], kind: str) -> None:
    # A class without training examples can be wanted (it may be rare); with a single class nothing can be learnt.
    trained = [name for name, count in zip(names, counts, strict=True) if count]
    if len(trained) < 2:
        raise DataError(
            "all training examples are of one class",
            where=f"data of source {kind}",
            expected=f"examples of at least two classes of {', '.join(names)}",
            found=f"class {trained[0]} only",
        )
