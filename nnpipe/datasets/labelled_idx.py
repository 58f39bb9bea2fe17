"""IDX files of images, each with an IDX file of labels, opened as a source's examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from nnpipe.datasets.examples import (
    check_alike,
    check_counts,
    checked_blocks,
    checked_labels,
    kept_dtype,
    numbered_classes,
    value_range,
)
from nnpipe.datasets.idx import IdxFile, open_idx
from nnpipe.datasets.sources.source import Block, Opened, block_rows

LABEL_ROWS = 1 << 16


def open_images(path: Path) -> IdxFile:
    """Open vectors (rows, features), images (rows, height, width), or with channels (rows, channels, height, width)."""
    return open_idx(path, (2, 3, 4))


def example_shape(images: IdxFile) -> tuple[int, ...]:
    """The shape of one example: images of two dimensions get their one channel."""
    return (1, *images.shape[1:]) if len(images.shape) == 3 else images.shape[1:]


def open_labelled_idx(pairs: Mapping[str, tuple[Path, Path]], names: tuple[str, ...] | None) -> Opened:
    """Open files of images and labels.

    pairs: split -> (images, labels); ``names``: of the classes, or None to number them.

    Raises:
        DataError: a file is broken, or they do not belong together.
    """
    files = {split: (open_images(x), open_idx(y, (1,))) for split, (x, y) in pairs.items()}
    first = files["train"][0]
    for images, labels in files.values():
        check_counts(images.shape[0], labels.shape[0], str(images.path), str(labels.path))
        check_alike(example_shape(images), images.dtype, example_shape(first), first.dtype, str(images.path))
    shape = example_shape(first)
    classes = names or numbered_classes(_all_labels([labels for _, labels in files.values()]), str(pairs["train"][1]))

    def blocks(split: str, first: int = 0) -> Iterator[Block]:
        images, labels = files[split]
        rows = block_rows(shape, images.dtype.itemsize)
        examples = (block.reshape(-1, *shape) for block in images.blocks(rows, first))
        places = str(images.path), str(labels.path)
        return checked_blocks(examples, labels.blocks(rows, first), places, len(classes), first)

    sizes = {split: images.shape[0] for split, (images, _) in files.items()}
    return Opened(sizes, shape, kept_dtype(first.dtype, str(first.path)), value_range(first.dtype), classes, blocks)


def _all_labels(files: list[IdxFile]) -> Iterator[np.ndarray]:
    for file in files:
        first = 0
        for block in file.blocks(LABEL_ROWS):
            yield checked_labels(block, str(file.path), first)
            first += len(block)
