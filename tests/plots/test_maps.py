"""Maps keep neighbours together, and names stand on the islands of their classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from nnpipe.plots.maps import alike_neighbours, can_be_mapped, draw_panels, neighbour_map
from nnpipe.plots.picture import Subject
from nnpipe.plots.representation_map import RepresentationMap


@pytest.fixture
def islands() -> tuple[np.ndarray, np.ndarray]:
    """Sixty points about three corners of a space of 20 dimensions, and which corner each belongs to."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    return (10 * np.eye(20)[labels] + rng.standard_normal((60, 20))).astype(np.float32), labels


def test_islands_stay_islands_on_the_map(islands: tuple[np.ndarray, np.ndarray]) -> None:
    codes, labels = islands
    points = neighbour_map(codes)
    assert alike_neighbours(points, labels) == 1
    np.testing.assert_array_equal(points, neighbour_map(codes))


def test_neighbours_are_counted_as_they_lie(islands: tuple[np.ndarray, np.ndarray]) -> None:
    codes, labels = np.random.default_rng(1).standard_normal((60, 4)), islands[1]
    distances = cdist(codes, codes) + 1e9 * np.eye(60)
    assert alike_neighbours(codes, labels) == pytest.approx((labels[distances.argmin(1)] == labels).mean())


def test_what_has_no_neighbourhoods_is_not_mapped(islands: tuple[np.ndarray, np.ndarray]) -> None:
    codes, _ = islands
    assert can_be_mapped(codes)
    assert not can_be_mapped(codes[:9])
    assert not can_be_mapped(codes[:, :2])
    assert not can_be_mapped(np.zeros((60, 20)))


def test_a_name_stands_on_an_island_of_its_class_not_between_two() -> None:
    points = np.array([[-5, 0], [-5.1, 0], [5, 0], [5.1, 0], [4.9, 0], [0, 1.0]])
    figure = draw_panels([("a map", points)], [np.array([0, 0, 0, 0, 0, 1])], ["torn", "whole"])
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["torn"][0] == pytest.approx(5, abs=0.11)
    assert places["whole"] == (0, 1.0)


def test_the_last_hidden_layer_is_what_is_drawn(images: Subject) -> None:
    drawing, *_ = RepresentationMap().render(images)
    weight, bias = images.tensors["layers.0.weight"], images.tensors["layers.0.bias"]
    x = (images.inputs.reshape(12, -1)).astype(np.float32)
    hidden = torch.sigmoid(torch.from_numpy(x @ weight.T + bias)).numpy().astype(np.float64)
    centred = hidden - hidden.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    points = np.asarray(drawing.figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(np.abs(points), np.abs(centred @ directions[:2].T), atol=1e-4)
    assert "12 test examples, placed by what the 7 units give" in drawing.caption


def test_a_network_without_a_hidden_layer_has_no_such_map(images: Subject, plane: Subject, encoded: Subject) -> None:
    assert not RepresentationMap().applies(plane)
    assert not RepresentationMap().applies(encoded)
    assert not RepresentationMap().applies(replace(images, inputs=images.inputs[:5]))
