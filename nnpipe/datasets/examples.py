"""Raw arrays as examples and their answers: what is kept, and what is refused, with the file and the row.

What leaves can be trained on: examples are uint8 or finite float32, labels int64 from 0 to classes - 1, targets finite
float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from nnpipe.datasets.sources.source import Block
from nnpipe.errors import DataError


def kept_dtype(dtype: np.dtype, where: str) -> np.dtype:
    """The dtype that examples of ``dtype`` are kept in: bytes stay bytes, all else becomes float32.

    Raises:
        DataError: they are not numbers.
    """
    if dtype.kind not in "biuf":
        raise DataError("not an array of numbers", where=where, expected="integers or floats", found=f"dtype {dtype}")
    return np.dtype(np.uint8 if dtype.itemsize == 1 and dtype.kind in "bu" else np.float32)


def value_range(dtype: np.dtype) -> tuple[float, float] | None:
    """The smallest and largest value of examples that were kept from ``dtype``; None where there are no bounds."""
    if dtype.kind == "b":
        return 0.0, 1.0
    return (0.0, 255.0) if dtype == np.uint8 else None


def checked_examples(values: np.ndarray, where: str, first: int) -> np.ndarray:
    """``values`` in the dtype that is kept. ``first``: the number of their first row in the file.

    Raises:
        DataError: a value is NaN, infinite, or too large for float32.
    """
    with np.errstate(over="ignore"):
        kept = values.astype(kept_dtype(values.dtype, where), copy=False)
    _check_finite(kept, values, where, first)
    return kept


def checked_targets(values: np.ndarray, where: str, first: int) -> np.ndarray:
    """``values``, (rows,) or (rows, targets), as float32 of two dimensions. ``first``: as for examples.

    Raises:
        DataError: they are not numbers, one row an example, or one is NaN, infinite or too large for float32.
    """
    kept_dtype(values.dtype, where)
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise DataError(
            "not the numbers of each example",
            where=where,
            expected="an array of shape (examples,) or (examples, targets)",
            found=f"shape (examples, {', '.join(map(str, values.shape[1:]))})",
        )
    rows = values.reshape(len(values), -1)
    with np.errstate(over="ignore"):
        kept = rows.astype(np.float32)
    _check_finite(kept, rows, where, first)
    return kept


def are_classes(blocks: Iterable[np.ndarray]) -> bool:
    """Whether answers are classes: whole numbers, of whatever type. A fraction among them makes them targets."""
    return all(
        block.dtype.kind != "f" or bool((np.isfinite(block) & (block == np.floor(block))).all()) for block in blocks
    )


def _check_finite(kept: np.ndarray, values: np.ndarray, where: str, first: int) -> None:
    """Refuse ``kept`` where it is not finite; ``values`` are what it was made from."""
    if kept.dtype.kind == "f":
        # A sum is finite only if all its terms are: this spares a mask as large as the block.
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.isfinite(kept.sum(dtype=np.float64))
        if not whole:
            row, *place = (int(index) for index in np.argwhere(~np.isfinite(kept))[0])
            raise DataError(
                "a value is not a finite number",
                where=where,
                expected="finite numbers of at most 3.4e38",
                found=f"{values[(row, *place)]} in example {first + row}",
            )


def checked_labels(values: np.ndarray, where: str, first: int, classes: int | None = None) -> np.ndarray:
    """``values``, (rows,) or (rows, 1), as int64. ``first``: the number of their first row in the file.

    Raises:
        DataError: a label is not a whole number from 0 to ``classes`` - 1.
    """
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise DataError(
            "not one label an example",
            where=where,
            expected="an array of shape (examples,)",
            found=f"shape (examples, {', '.join(map(str, values.shape[1:]))})",
            hint="labels are class numbers: of one-hot rows keep argmax(axis=1); to learn numbers set task: regression"
            if values.ndim == 2
            else None,
        )
    if values.dtype.kind not in "biuf":
        raise DataError("not an array of numbers", where=where, expected="whole numbers", found=f"dtype {values.dtype}")
    flat = values.reshape(len(values))
    limit = 2**31 if classes is None else classes
    wrong = ~((flat >= 0) & (flat < limit))  # so written, NaN is wrong too
    if flat.dtype.kind == "f":
        wrong |= flat != np.floor(flat)
    if wrong.any():
        row = int(np.argmax(wrong))
        upper = "" if classes is None else f" to {classes - 1}"
        raise DataError(
            "a label is out of range",
            where=where,
            expected=f"whole numbers from 0{upper}" + ("" if classes else " up"),
            found=f"{flat[row]} for example {first + row}",
        )
    return flat.astype(np.int64, copy=False)


def numbered_classes(labels: Iterable[np.ndarray], where: str) -> tuple[str, ...]:
    """Names for classes that have none: their numbers, from 0 to the largest label.

    Raises:
        DataError: a number below the largest label never occurs, so that the labels are hardly numbers from 0.
    """
    seen: set[int] = set()
    for block in labels:
        seen.update(np.unique(block).tolist())
    classes = max(seen) + 1
    if len(seen) < classes:
        absent = next(number for number in range(classes) if number not in seen)
        raise DataError(
            "the labels leave out a class",
            where=where,
            expected=f"every number from 0 to {classes - 1}",
            found=f"no example of class {absent}",
            hint="number the classes from 0, or give class_names with a name for each; to learn numbers set "
            "task: regression",
        )
    return tuple(map(str, range(classes)))


def check_counts(examples: int, labels: int, images_at: str, labels_at: str) -> None:
    """Refuse files that do not belong together, or hold nothing."""
    if examples != labels:
        raise DataError(
            "the numbers of images and labels differ",
            where=labels_at,
            expected=f"{examples} labels, one for each image of {images_at}",
            found=f"{labels} labels",
        )
    if examples == 0:
        raise DataError("there are no examples", where=images_at, expected="at least one", found="none")


def checked_blocks(
    examples: Iterable[np.ndarray],
    answers: Iterable[np.ndarray],
    places: tuple[str, str],
    classes: int,
    first: int = 0,
) -> Iterator[Block]:
    """Blocks of examples with their labels, or with their targets where there are 0 ``classes``, all checked.

    places: what errors call the examples and the answers. ``first``: the number of their first row.
    """
    for x, y in zip(examples, answers, strict=True):
        answer = checked_labels(y, places[1], first, classes) if classes else checked_targets(y, places[1], first)
        yield checked_examples(x, places[0], first), answer
        first += len(x)


def check_alike(
    shape: tuple[int, ...], dtype: np.dtype, expected_shape: tuple[int, ...], expected_dtype: np.dtype, where: str
) -> None:
    """Refuse test examples that are not of the shape and type of the training examples."""
    if (shape, dtype) != (expected_shape, expected_dtype):
        raise DataError(
            "test examples are not like the training examples",
            where=where,
            expected=f"examples of shape {expected_shape} and dtype {expected_dtype}",
            found=f"shape {shape} and dtype {dtype}",
        )
