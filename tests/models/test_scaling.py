"""Scaling of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import DataError
from nnpipe.models.scaling import Scaling, ScalingKind, resolve_scaling, resolve_target_scaling
from nnpipe.training.examples import Examples

BYTES: dict[str, Any] = {"value_range": [0, 255], "statistics": {"mean": 40.0, "std": 80.0}}
POINTS: dict[str, Any] = {
    "value_range": None,
    "statistics": {"mean": 1.0, "std": 2.0, "feature_mean": [1.0, -2.0], "feature_std": [2.0, 0.0]},
}


@pytest.mark.parametrize(
    ("kind", "attributes", "scaling"),
    [
        ("auto", BYTES, Scaling(offset=0, scale=255, range=(0, 255))),
        ("unit", BYTES, Scaling(offset=0, scale=255, range=(0, 255))),
        ("standard", BYTES, Scaling(offset=40, scale=80, range=(0, 255))),
        ("none", BYTES, Scaling(range=(0, 255))),
        ("auto", POINTS, Scaling()),
        ("standard", POINTS, Scaling(offset=(1.0, -2.0), scale=(2.0, 1.0))),
        ("unit", {"value_range": [-1, 3]}, Scaling(offset=-1, scale=4, range=(-1, 3))),
        ("unit", {"value_range": [5, 5]}, Scaling(offset=5, scale=1, range=(5, 5))),
        ("standard", {"statistics": {"mean": 3.0, "std": 0.0}}, Scaling(offset=3, scale=1)),
    ],
)
def test_scaling_follows_from_what_is_known_of_the_data(
    kind: ScalingKind, attributes: dict[str, Any], scaling: Scaling
) -> None:
    assert resolve_scaling(kind, attributes) == scaling


def test_unit_scaling_without_a_range_is_refused() -> None:
    with pytest.raises(DataError, match="range"):
        resolve_scaling("unit", POINTS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize(
    "scaling",
    [Scaling(), Scaling(offset=3, scale=255), Scaling(offset=(1.0, -2.0), scale=(2.0, 3.0)), Scaling(scale=7)],
)
def test_examples_are_scaled_in_training_as_they_are_for_prediction(dtype: type, scaling: Scaling) -> None:
    raw = np.random.default_rng(0).integers(0, 255, (20, 2)).astype(dtype)
    examples = Examples(torch.from_numpy(raw), torch.arange(20), scaling)
    expected = (raw.astype(np.float64) - np.array(scaling.offset)) / np.array(scaling.scale)
    np.testing.assert_allclose(scaling.apply(raw), expected, rtol=1e-6, atol=1e-6)
    ((x, y),) = examples.batches(torch.tensor([5, 3, 5]), 3)
    assert x.dtype == torch.float32
    assert x.numpy().tobytes() == scaling.apply(raw[[5, 3, 5]]).tobytes()
    assert y is not None
    assert y.tolist() == [5, 3, 5]
    assert examples.rows(18, 30)[0].numpy().tobytes() == scaling.apply(raw[18:]).tobytes()
    assert len(examples) == 20


def test_a_scaling_is_the_same_after_json() -> None:
    scaling = Scaling(offset=(0.1, 2.0), scale=0.3)
    assert Scaling.model_validate(scaling.model_dump(mode="json")) == scaling


TARGETS: dict[str, Any] = {
    "target_names": ["a", "b"],
    "statistics": {"targets": {"feature_mean": [1.0, -2.0], "feature_std": [2.0, 0.0]}},
}
STANDARD = Scaling(offset=(1.0, -2.0), scale=(2.0, 1.0))


@pytest.mark.parametrize(
    ("kind", "attributes", "linear", "scaling"),
    [
        ("auto", TARGETS, True, STANDARD),
        ("standard", TARGETS, True, STANDARD),
        ("none", TARGETS, True, Scaling()),
        ("auto", TARGETS, False, Scaling()),
        ("auto", BYTES, True, Scaling()),
    ],
)
def test_targets_are_scaled_where_the_outputs_are_linear(
    kind: Any, attributes: Any, linear: bool, scaling: Scaling
) -> None:
    assert resolve_target_scaling(kind, attributes, linear) == scaling


@pytest.mark.parametrize(("attributes", "linear"), [(TARGETS, False), (BYTES, True)])
def test_answers_that_cannot_be_standardised_are_refused(attributes: Any, linear: bool) -> None:
    with pytest.raises(DataError, match="cannot be scaled to mean 0 and variance 1"):
        resolve_target_scaling("standard", attributes, linear)
