"""Images are moved as they should be, and pictures tell networks that tolerate it from networks that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from nnpipe.plots import shifting
from nnpipe.plots.effort import affordable, multiplications
from nnpipe.plots.picture import Subject
from nnpipe.plots.shift_curves import ShiftCurves
from nnpipe.plots.shift_tolerance import ShiftTolerance
from tests.plots.conftest import dense, make_subject

CONVOLUTION = {"kind": "conv2d", "filters": 4, "kernel": 3, "inputs": 1, "activation": "relu"}


def blobs() -> np.ndarray:
    """Twelve images of 16 by 16 pixels, each with a spot of its own in the middle, far from the borders."""
    images = np.full((12, 1, 16, 16), 7, np.uint8)
    images[:, :, 6:10, 6:10] = np.random.default_rng(3).integers(100, 256, (12, 1, 4, 4))
    return images


def seeing_blobs(*layers: Mapping[str, Any]) -> Subject:
    """Random weights, one class an image: what the network says of each unmoved is what is right."""
    made = make_subject((1, 16, 16), layers, 3, inputs=blobs())
    made.document["scaling"] = {"offset": 7.0, "scale": 255.0}
    with torch.inference_mode():
        said = made.network.predict(torch.from_numpy(made.network.scaling.apply(made.inputs)))[1]
    return replace(made, truth=said.numpy())


def curves(subject: Subject, shift: int) -> dict[str, Sequence[float]]:
    drawing, *_ = ShiftCurves(shift=shift).render(subject)
    above, below = drawing.figure.axes
    return {"accuracy": above.lines[0].get_ydata()} | {
        line.get_label(): line.get_ydata() for line in below.lines if line.get_gid() is None
    }


@pytest.mark.parametrize(("rows", "columns"), [(0, 2), (0, -1), (3, 0), (-2, 0), (1, -4)])
def test_images_are_moved_over_their_background(rows: int, columns: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 7)).astype(np.uint8)
    behind = np.array([1, 2, 3])[:, None, None]
    moved = shifting.shifted(images, rows, columns, behind)
    for channel, value in enumerate((1, 2, 3)):
        expected = ndimage.shift(images[:, channel], (0, rows, columns), order=0, cval=value)
        np.testing.assert_array_equal(moved[:, channel], expected)
    assert moved.dtype == np.uint8


def test_the_background_is_the_middle_value_of_the_outermost_pixels() -> None:
    images = blobs()
    images[0, 0, 0] = 200  # one image touches its border
    assert shifting.background(images).tolist() == [[[7]]]


def test_what_a_global_pool_gives_does_not_change_while_a_spot_moves_inside_the_image() -> None:
    found = curves(seeing_blobs(CONVOLUTION, {"kind": "global_max_pool2d"}, dense(3, 4, "softmax")), shift=3)
    np.testing.assert_allclose(found["2 global_max_pool2d"], 1, atol=1e-5)
    np.testing.assert_allclose(found["3 dense"], 1, atol=1e-5)
    np.testing.assert_allclose(found["accuracy"], 1)
    assert found["1 conv2d"][3] < found["1 conv2d"][1] < 0.9


def test_a_dense_network_sees_another_image() -> None:
    found = curves(seeing_blobs(dense(8, 256), dense(3, 8, "softmax")), shift=3)
    assert found["1 dense"][0] == 1
    assert max(found["1 dense"][1:]) < 0.5
    assert found["accuracy"][0] == 1
    assert min(found["accuracy"][1:]) < 0.9


def test_similarity_is_the_cosine_of_what_differs_from_the_mean() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.standard_normal((5, 2, 3)) + 100, rng.standard_normal((5, 2, 3)) + 100
    mean = before.reshape(5, -1).mean(0)
    a, b = before.reshape(5, -1) - mean, after.reshape(5, -1) - mean
    expected = [x @ y / np.sqrt((x @ x) * (y @ y)) for x, y in zip(a, b, strict=True)]
    assert shifting.similarity(torch.tensor(before), torch.tensor(after)) == pytest.approx(np.mean(expected))
    constant = torch.ones(4, 3)
    assert shifting.similarity(constant, constant) == 1
    assert shifting.similarity(constant, constant + 1) == 0


def test_small_images_move_by_a_quarter_of_their_side_at_most(pooled: Subject) -> None:
    drawing, *_ = ShiftCurves().render(pooled)
    assert drawing.figure.axes[0].lines[0].get_xdata().tolist() == [0, 1, 2]
    assert "before and" in drawing.caption
    assert "after 2 max_pool2d" in drawing.caption


def test_layers_that_change_nothing_have_no_line_and_of_many_the_pools_are_kept() -> None:
    assert shifting.told_apart(["conv2d", "max_pool2d", "dropout", "flatten", "dense"], 8) == [0, 1, 2, 5]
    deep = ["conv2d"] * 10 + ["max_pool2d"] + ["conv2d"] * 10 + ["dense"]
    assert {0, 10, 11, 22} <= set(shifting.told_apart(deep, 6))
    assert len(shifting.told_apart(deep, 6)) == 6


def test_maps_before_and_after_a_pool_stand_beside_those_of_the_moved_image(pooled: Subject) -> None:
    drawing, *_ = ShiftTolerance(example=2).render(pooled)
    shown = [np.asarray(axes.images[0].get_array()) for axes in drawing.figure.axes]
    assert [image.shape for image in shown] == [(8, 8)] * 3 + [(6, 6)] * 9 + [(3, 3)] * 9
    np.testing.assert_array_equal(shown[1][:, 1:], pooled.inputs[2, 0][:, :-1])
    np.testing.assert_array_equal(shown[2], shown[1] - shown[0])
    for pooled_map, map_before in zip(
        shown[12:18], shown[3:9], strict=True
    ):  # unmoved, then moved: of the same filters
        largest = map_before.reshape(3, 2, 3, 2).max((1, 3))
        assert any(np.allclose(each, largest) for each in shown[12:18]), pooled_map
    assert "the similarity changes from" in drawing.caption


def test_without_a_pool_there_is_nothing_to_compare(colours: Subject, images: Subject) -> None:
    assert not ShiftTolerance().applies(colours)
    assert not ShiftTolerance().applies(images)
    assert not ShiftCurves().applies(replace(images, attributes={**images.attributes, "input_shape": [1, 3, 36]}))


def test_costly_networks_are_asked_about_fewer_examples(pooled: Subject) -> None:
    assert multiplications(pooled.network) == 36 * (9 + 1) * 6 + 54 * 3 + 3
    assert affordable(pooled, 1, 10).tolist() == sorted(set(affordable(pooled, 1, 10).tolist()))
    assert len(affordable(pooled, 1, 10)) == 10
    many = replace(pooled, inputs=np.zeros((1000, 1, 8, 8), np.uint8))
    assert len(affordable(many, 10**6, 1000)) == 40_000_000_000 // (10**6 * 2325)
    assert len(affordable(many, 10**9, 1000)) == 16
