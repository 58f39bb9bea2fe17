"""Samples of known functions, and the diabetes data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nnpipe.datasets.sources.diabetes import Diabetes
from nnpipe.datasets.sources.function import Function
from nnpipe.datasets.sources.source import Description


def samples(seed: int = 0, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    opened = Function.model_validate({"kind": "function", **options}).open(Path(), seed)
    x, y = zip(*opened.blocks("train"), strict=True)
    return np.concatenate(x), np.concatenate(y)


@pytest.mark.parametrize(("function", "variables"), [("sine", 1), ("sinc", 1), ("bump", 1), ("peaks", 2)])
def test_it_is_described_without_being_made(function: Any, variables: int) -> None:
    source = Function(function=function)
    opened = source.open(Path(), 0)
    assert source.describe(Path()) == Description((variables,), 0, 1)
    assert (opened.shape, opened.class_names, opened.target_names) == ((variables,), (), (function,))
    assert source.files(Path()) == []


@pytest.mark.parametrize(
    ("function", "inputs", "value"),
    [
        ("sine", (np.pi / 2,), 1.0),
        ("sinc", (0.0,), 1.0),
        ("sinc", (0.5,), 2 / np.pi),
        ("bump", (0.0,), 2 * np.tanh(2)),
        ("peaks", (0.0, 0.0), 8 / 3 / np.e),  # 3/e from the hill, less 1/(3e)
        ("peaks", (1.0, 0.0), 8 / np.exp(1) - np.exp(-4) / 3),  # 0 from the hill, -10 (1/5 - 1)/e from the ring
    ],
)
def test_a_function_has_its_known_values(function: str, inputs: tuple[float, ...], value: float) -> None:
    from nnpipe.datasets.sources.function import FUNCTIONS

    compute, variables, _ = FUNCTIONS[function]
    assert variables == len(inputs)
    assert compute(*np.array(inputs)[:, None])[0] == pytest.approx(value)


def test_points_fill_their_range_and_values_are_the_functions() -> None:
    x, y = samples(samples=5000, range=[1, 2])
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((5000, 1), (5000, 1), np.float32, np.float32)
    assert 1 <= x.min() < 1.01
    assert 1.99 < x.max() <= 2
    np.testing.assert_allclose(y, np.sin(x.astype(np.float64)), rtol=1e-6)


def test_noise_has_its_deviation_and_the_seed_decides_all() -> None:
    x, y = samples(samples=5000, noise=0.5)
    assert (y - np.sin(x)).std() == pytest.approx(0.5, rel=0.05)
    for one, two in zip(samples(3, noise=0.1), samples(3, noise=0.1), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(samples(3)[0], samples(4)[0])


def test_a_range_without_points_is_refused() -> None:
    with pytest.raises(ValidationError, match="a range without points"):
        Function.model_validate({"range": [2, 2]})


def test_the_diabetes_data_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_diabetes

    opened = Diabetes().open(Path(), 0)
    x, y = next(iter(opened.blocks("train")))
    known = load_diabetes(scaled=False)
    np.testing.assert_allclose(x, known.data, rtol=1e-6)
    np.testing.assert_array_equal(y[:, 0], known.target)
    assert opened.splits == {"train": 442}
    assert Diabetes().describe(Path()) == Description(opened.shape, 0, len(opened.target_names))
