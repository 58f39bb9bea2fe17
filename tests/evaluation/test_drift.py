"""Drift of data whose distribution is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnpipe.datasets.statistics import RunningStatistics
from nnpipe.evaluation.drift import drift

NAMES = ["a", "b", "c"]


def data(x: np.ndarray, y: np.ndarray | None = None, names: list[str] = NAMES) -> dict[str, Any]:
    """What the attributes of data tell of examples and their classes."""
    statistics = RunningStatistics(x.shape[1:])
    statistics.add(x)
    labels = np.zeros(len(x), int) if y is None else y
    counts = {"train": np.bincount(labels, minlength=len(names)).tolist()}
    about = {**statistics.to_json(), "class_counts": counts}
    return {"statistics": about, "class_names": names, "examples": len(x)}


def sample(rng: np.random.Generator, count: int, shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> dict[str, Any]:
    return data(rng.normal(size=(count, 20)), rng.choice(3, count, p=shares))


@pytest.mark.parametrize("count", [40, 1000])
def test_two_samples_of_one_population_are_seldom_told_apart(count: int) -> None:
    rng = np.random.default_rng(0)
    found = [drift(sample(rng, count), sample(rng, count))["found"] for _ in range(60)]
    assert sum(found) <= 6


def test_other_shares_of_classes_are_named() -> None:
    rng = np.random.default_rng(1)
    found = drift(sample(rng, 1000), sample(rng, 1000, (0.2, 0.3, 0.5)))
    assert found["found"]
    assert found["sentence"].startswith("classes are divided otherwise: ")
    assert "c from " in found["sentence"]


def test_the_stability_index_is_that_of_its_definition() -> None:
    before, after = data(np.zeros((100, 2)), np.repeat([0, 1, 2], [50, 30, 20])), data(np.zeros((10, 2)))
    after["statistics"]["class_counts"]["train"] = [2, 3, 5]
    p, q = np.array([50.5, 30.5, 20.5]) / 101.5, np.array([2.5, 3.5, 5.5]) / 11.5
    found = drift(before, after)["classes"]
    assert found["stability_index"] == pytest.approx(sum((q - p) * np.log(q / p)))


def test_a_class_that_is_new_is_told() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    found = drift(data(x, rng.integers(0, 2, 300), ["a", "b"]), data(x, rng.integers(0, 3, 300)))
    assert "c from 0." in found["sentence"]


def test_a_feature_that_moved_is_named_by_standard_deviations() -> None:
    rng = np.random.default_rng(3)
    x, moved = rng.normal(size=(500, 20)), rng.normal(size=(500, 20))
    moved[:, 7] += 1
    found = drift(data(x), data(moved))
    assert found["sentence"].startswith("values have moved: feature 7 by +")
    shift = (moved[:, 7].mean() - x[:, 7].mean()) / np.sqrt((x[:, 7].var() + moved[:, 7].var()) / 2)
    assert found["values"]["features"]["feature 7"] == pytest.approx(shift)


def test_pictures_are_told_by_all_their_values() -> None:
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 200, (300, 1, 4, 4))
    assert not drift(data(pictures), data(rng.integers(0, 200, (300, 1, 4, 4))))["found"]
    brighter = drift(data(pictures), data(pictures + 40))
    assert "standard deviations in all" in brighter["sentence"]
    contrast = drift(data(pictures), data(100 + (pictures - 100) // 2))
    assert "their deviation is 0.50 times what it was" in contrast["sentence"]


def test_what_never_varied_and_now_is_another_value_has_moved() -> None:
    before = np.random.default_rng(5).normal(size=(50, 2))
    before[:, 1] = 3
    after = before.copy()
    assert not drift(data(before), data(after))["found"]
    after[:, 1] = 4
    found = drift(data(before), data(after))
    assert "feature 1 by +" in found["sentence"]
    assert np.isfinite(found["values"]["features"]["feature 1"])


def test_numbers_to_learn_are_told_by_name() -> None:
    rng = np.random.default_rng(6)

    def numbers(offset: float) -> dict[str, Any]:
        whole, targets = RunningStatistics((3,)), RunningStatistics((1,))
        whole.add(rng.normal(size=(200, 3)))
        targets.add(rng.normal(offset, size=(200, 1)))
        about = {**whole.to_json(), "targets": targets.to_json()}
        return {"statistics": about, "class_names": [], "target_names": ["height"], "examples": 200}

    found = drift(numbers(0), numbers(2))
    assert "numbers to learn have moved: " in found["sentence"]
    assert "height by +" in found["sentence"]
