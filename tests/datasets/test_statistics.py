from __future__ import annotations

import numpy as np
import pytest

from nnpipe.datasets.statistics import CHUNK_VALUES, RunningStatistics


def statistics(rows: np.ndarray, step: int) -> dict[str, object]:
    running = RunningStatistics(rows.shape[1:])
    for start in range(0, len(rows), step):
        running.add(rows[start : start + step])
    return running.to_json()


@pytest.mark.parametrize("shape", [(30_000, 20), (3_000, 1, 14, 14), (5, 3, 300, 400)])
def test_they_are_those_that_numpy_finds(shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    assert rows[0].size * len(rows) > CHUNK_VALUES, "more than a chunk, so that merging is tested"
    found, exact = statistics(rows, 700), rows.astype(np.float64)
    expected = {"mean": exact.mean(), "std": exact.std(), "min": exact.min(), "max": exact.max()}
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    if len(shape) == 2:
        np.testing.assert_allclose(np.array(found["feature_mean"]), exact.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(np.array(found["feature_std"]), exact.std(axis=0), rtol=1e-12)
    else:
        assert "feature_mean" not in found


def test_a_large_mean_costs_no_digits() -> None:
    rows = np.tile(np.array([[1e9], [1e9 + 1]]), (200_000, 1))
    assert statistics(rows, 1000)["std"] == pytest.approx(0.5, rel=1e-12)


def test_they_do_not_depend_on_how_the_rows_arrive() -> None:
    rows = np.random.default_rng(1).normal(size=(20_000, 30)).astype(np.float32)
    first = statistics(rows, 20_000)
    assert all(statistics(rows, step) == first for step in (1_234, 77, 9_999))


def test_they_go_on_from_a_state_with_the_same_bits() -> None:
    rows = np.random.default_rng(1).normal(size=(20_000, 30)).astype(np.float32)
    for place in (1, 9_000, 19_999):
        first, second = RunningStatistics((30,)), RunningStatistics((30,))
        first.add(rows[:place])
        second.resume(first.state())
        second.add(rows[place:])
        assert second.to_json() == statistics(rows, 20_000)
