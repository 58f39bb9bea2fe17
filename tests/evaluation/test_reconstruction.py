"""Squared errors of what is given back, beside principal components."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nnpipe.evaluation.principal_components import principal_components, squared_errors
from nnpipe.evaluation.reconstruction import measure_reconstruction


def test_principal_components_are_scikit_learns_however_the_examples_come() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((200, 9)) @ rng.standard_normal((9, 9)) + 5).astype(np.float32)
    new = rng.standard_normal((30, 9)).astype(np.float32)
    found = principal_components(lambda: (x[start : start + 64] for start in range(0, 200, 64)), 3)
    theirs = PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(found.reconstruct(new), theirs.inverse_transform(theirs.transform(new)), atol=1e-4)
    np.testing.assert_allclose(np.abs(found.directions @ theirs.components_.T), np.eye(3), atol=1e-4)


def test_as_many_components_as_features_or_more_give_everything_back() -> None:
    x = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    found = principal_components(lambda: [x], 10)
    assert found.directions.shape == (4, 4)
    assert squared_errors(x, found.reconstruct(x)).max() < 1e-9


def test_measures_are_means_of_examples_with_intervals_and_classes() -> None:
    errors, others = np.array([1.0, 3.0, 5.0, 7.0]), np.array([2.0, 4.0, 6.0, 8.0])
    labels = np.array([0, 0, 2, 2])
    found = measure_reconstruction(errors, others, errors / 10, labels, ["a", "b", "c"])
    assert found.metrics == pytest.approx({"test_squared_error": 4.0, "test_pca_squared_error": 5.0, "test_loss": 0.4})
    low, high = found.intervals["test_squared_error"]
    assert 1 <= low < 4 < high <= 7
    assert found.details["per_class"] == [
        {"name": "a", "support": 2, "squared_error": 2.0, "pca_squared_error": 3.0, "loss": pytest.approx(0.2)},
        {"name": "b", "support": 0},
        {"name": "c", "support": 2, "squared_error": 6.0, "pca_squared_error": 7.0, "loss": pytest.approx(0.6)},
    ]
    assert [row["index"] for row in found.details["largest_errors"]] == [3, 2, 1, 0]


def test_without_components_and_classes_nothing_is_told_of_them() -> None:
    found = measure_reconstruction(np.ones(3), None, np.ones(3))
    assert set(found.metrics) == {"test_squared_error", "test_loss"}
    assert set(found.details) == {"largest_errors"}
