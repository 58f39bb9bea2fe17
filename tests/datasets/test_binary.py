from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from nnpipe.datasets.binary import Binary, made_binary
from nnpipe.datasets.sources.source import Block, Opened
from nnpipe.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (500, 1, 3, 5), dtype=np.uint8)  # 15 values: no multiple of 4
Y = np.arange(500) % 2


def source(rows: int = 64, value_range: tuple[float, float] | None = (0.0, 255.0)) -> Opened:
    """``X`` as both splits, ``rows`` a block."""

    def blocks(split: str, first: int = 0) -> Iterator[Block]:
        for start in range(first, len(X), rows):
            yield X[start : start + rows], Y[start : start + rows]

    return Opened({"train": 500, "test": 500}, (1, 3, 5), X.dtype, value_range, ("a", "b"), blocks)


def read(how: Binary, split: str = "train", first: int = 0, rows: int = 64, seed: int = 0) -> np.ndarray:
    opened = made_binary(source(rows), how, seed)
    assert (opened.dtype, opened.value_range) == (np.uint8, (0.0, 1.0))
    return np.concatenate([x for x, _ in opened.blocks(split, first)])


def test_a_threshold_is_the_middle_of_the_range() -> None:
    np.testing.assert_array_equal(read("threshold"), X > 127)


def test_samples_are_on_as_often_as_their_values_say() -> None:
    drawn = read("sample")
    assert drawn.dtype == np.uint8
    for quarter in range(4):
        chosen = quarter == X // 64
        expected = X[chosen].mean() / 255
        assert drawn[chosen].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / chosen.sum()))
    assert drawn[X == 0].max() == 0
    assert drawn[X == 255].min() == 1


def test_what_is_drawn_for_an_example_depends_neither_on_blocks_nor_on_where_reading_begins() -> None:
    whole = read("sample")
    np.testing.assert_array_equal(read("sample", rows=7), whole)
    np.testing.assert_array_equal(read("sample", first=123), whole[123:])


def test_splits_and_seeds_have_draws_of_their_own() -> None:
    assert (read("sample") != read("sample", "test")).any()
    assert (read("sample") != read("sample", seed=1)).any()


def test_values_without_bounds_are_refused() -> None:
    with pytest.raises(DataError, match="values without bounds"):
        made_binary(source(value_range=None), "threshold", 0)
