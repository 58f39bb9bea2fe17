from __future__ import annotations

import numpy as np
import pytest

from nnpipe.datasets.splits import Splits, make_splits
from nnpipe.errors import DataError


def rows_of(splits: Splits, rows: int, step: int = 7) -> dict[str, list[int]]:
    """The rows of the source's training split that go to each split, read in blocks of ``step``."""
    found: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for first in range(0, rows, step):
        block = np.arange(first, min(first + step, rows))
        for name, (examples, labels) in splits.parts("train", first, (block, block)):
            assert examples.tolist() == labels.tolist()
            found[name] += examples.tolist()
    return found


def test_every_example_goes_to_one_split_and_keeps_its_place() -> None:
    splits = make_splits({"train": 100}, 10, 20, seed=3)
    found = rows_of(splits, 100)
    assert sorted(row for rows in found.values() for row in rows) == list(range(100))
    assert {name: len(rows) for name, rows in found.items()} == splits.sizes
    assert splits.sizes == {"train": 70, "validation": 10, "test": 20}
    assert all(rows == sorted(rows) for rows in found.values())
    assert found == rows_of(splits, 100, step=100)


def test_the_seed_alone_draws_the_splits() -> None:
    draws = [rows_of(make_splits({"train": 100}, 0.1, 0.2, seed), 100) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_more_validation_examples_leave_the_test_examples_as_they_are() -> None:
    few, many = (rows_of(make_splits({"train": 100}, n, None, 0), 100) for n in (0, 30))
    assert few["test"] == many["test"]


def test_fractions_are_of_the_examples_and_then_of_those_that_are_left() -> None:
    assert make_splits({"train": 1797}, 0.1, None, 0).sizes == {"train": 1294, "validation": 144, "test": 359}


def test_a_source_with_test_examples_keeps_them() -> None:
    splits = make_splits({"train": 10, "test": 4}, 3, None, 0)
    assert splits.sizes == {"train": 7, "validation": 3, "test": 4}
    block = (np.arange(4), np.arange(4))
    assert list(splits.parts("test", 0, block)) == [("test", block)]


def test_no_other_test_examples_are_taken_from_a_source_that_has_its_own() -> None:
    with pytest.raises(DataError, match=r"data\.test: the source has test examples of its own"):
        make_splits({"train": 10, "test": 4}, 0, 2, 0)


@pytest.mark.parametrize(
    ("validation", "test", "split"),
    [(0, 10, "test"), (8, None, "validation"), (9, 1, "validation"), (0.01, None, "validation"), (0, 0.99, "test")],
)
def test_splits_that_leave_nothing_are_refused(validation: float, test: float | None, split: str) -> None:
    with pytest.raises(DataError, match=rf"data\.{split}: .*\n  expected  from 1 to \d+ of the \d+ examples"):
        make_splits({"train": 10}, validation, test, 0)


def test_a_single_example_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="more examples in the data"):
        make_splits({"train": 1}, 0, None, 0)
