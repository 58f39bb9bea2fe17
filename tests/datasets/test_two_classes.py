from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnpipe.datasets.sources.source import Description
from nnpipe.datasets.sources.two_classes import TwoClasses


def cloud(seed: int = 0, **options: object) -> tuple[np.ndarray, np.ndarray]:
    opened = TwoClasses.model_validate({"kind": "two_classes", **options}).open(Path(), seed)
    x, y = zip(*opened.blocks("train"), strict=True)
    return np.concatenate(x), np.concatenate(y)


def test_it_is_described_without_being_made() -> None:
    assert TwoClasses().describe(Path()) == Description((2,), 2)
    assert TwoClasses().files(Path()) == []


@pytest.mark.parametrize("shape", ["blobs", "circles", "moons"])
class TestShapes:
    def test_the_same_seed_gives_the_same_points_and_another_seed_others(self, shape: str) -> None:
        draws = [cloud(seed, shape=shape, samples=300)[0] for seed in (0, 0, 1)]
        np.testing.assert_array_equal(draws[0], draws[1])
        assert not np.array_equal(draws[0], draws[2])

    def test_it_has_as_many_points_as_were_asked_for_half_of_each_class(self, shape: str) -> None:
        x, y = cloud(shape=shape, samples=10_000)
        assert (x.shape, x.dtype) == ((10_000, 2), np.float32)
        assert np.bincount(y).tolist() == [5_000, 5_000]

    def test_no_straight_line_divides_it_but_neighbours_are_of_one_class(self, shape: str) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier

        x, y = cloud(shape=shape, samples=1000, noise=0.1)
        assert LogisticRegression().fit(x[:800], y[:800]).score(x[800:], y[800:]) < 0.95
        assert KNeighborsClassifier(15).fit(x[:800], y[:800]).score(x[800:], y[800:]) > 0.98
