"""Training with fewer examples than there are."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import StageError
from nnpipe.stages.subset import choose, learned_from
from nnpipe.store.arrays import open_arrays
from nnpipe.store.output import Output


class TestChoice:
    LABELS = np.repeat([0, 1, 2], [50, 30, 4])

    @pytest.mark.parametrize(
        ("count", "counts"), [(3, [1, 1, 1]), (12, [4, 4, 4]), (14, [5, 5, 4]), (60, [28, 28, 4]), (84, [50, 30, 4])]
    )
    def test_as_many_of_each_class_while_there_are(self, count: int, counts: list[int]) -> None:
        for seed in range(5):
            rows = choose(self.LABELS, count, seed)
            assert np.bincount(self.LABELS[rows]).tolist() == counts
            assert (np.diff(rows) > 0).all()

    def test_the_class_that_has_one_more_is_not_always_the_same(self) -> None:
        labels = np.arange(300) % 3
        more = {int(np.bincount(labels[choose(labels, 31, seed)]).argmax()) for seed in range(20)}
        assert more == {0, 1, 2}

    def test_a_seed_chooses_the_same_and_fewer_are_among_more(self) -> None:
        few, more, other = choose(self.LABELS, 20, 1), choose(self.LABELS, 40, 1), choose(self.LABELS, 20, 2)
        np.testing.assert_array_equal(few, choose(self.LABELS, 20, 1))
        assert set(few.tolist()) < set(more.tolist())
        assert set(few.tolist()) != set(other.tolist())

    def test_every_example_is_as_likely(self) -> None:
        labels = np.arange(40) % 2
        counts = sum(np.bincount(choose(labels, 10, seed), minlength=40) for seed in range(400))
        assert 60 < counts.min() < 100 < counts.max() < 140

    def test_of_numbers_any_are_chosen(self) -> None:
        assert len(np.unique(choose(np.zeros((20, 2), np.float32), 7, 0))) == 7


def written(folder: Path, y: np.ndarray, about: dict[str, Any]) -> Any:
    folder.mkdir()
    output = Output(folder)
    with output.arrays("data") as writer:
        writer.allocate("y_train", y.shape, y.dtype)
        writer.append("y_train", y)
        writer.attributes = about
    return open_arrays(folder / "data.h5")


def test_what_is_told_of_answers_is_of_the_chosen_and_of_inputs_of_all(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], [90, 10])
    statistics = {"mean": 3.0, "class_counts": {"train": [90, 10], "test": [1, 2]}}
    about = {"class_names": ["a", "b"], "statistics": statistics}
    with closing(written(tmp_path / "labels", labels, about)) as file:
        rows, told = learned_from(file, 30, 0)
    assert np.bincount(labels[rows]).tolist() == [20, 10]
    assert told["statistics"] == {"mean": 3.0, "class_counts": {"train": [20, 10], "test": [1, 2]}}
    numbers = np.random.default_rng(0).normal(2, 3, (50, 2)).astype(np.float32)
    with closing(written(tmp_path / "numbers", numbers, {"class_names": [], "statistics": {}})) as file:
        rows, told = learned_from(file, 20, 0)
    np.testing.assert_allclose(told["statistics"]["targets"]["feature_mean"], numbers[rows].mean(0), rtol=1e-5)
    np.testing.assert_allclose(told["statistics"]["targets"]["feature_std"], numbers[rows].std(0), rtol=1e-5)


@pytest.mark.parametrize("count", [1, 101])
def test_more_than_there_are_and_fewer_than_classes_are_refused(tmp_path: Path, count: int) -> None:
    about = {"class_names": ["a", "b"], "statistics": {}}
    refused = pytest.raises(StageError, match=f"{count} training examples cannot be chosen")
    with closing(written(tmp_path / "labels", np.arange(100) % 2, about)) as file, refused as caught:
        learned_from(file, count, 0)
    assert caught.value.expected == "from 2, one of each class, to the 100 that there are"
