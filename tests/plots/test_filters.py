from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nnpipe.plots.filters import Filters
from nnpipe.plots.mosaic import FRAME, GAP, assemble, columns_for, grid_size
from nnpipe.plots.picture import Drawing, Picture, Subject
from nnpipe.plots.pretrained_filters import PretrainedFilters

RED, BLUE, WHITE = (122, 10, 33), (11, 60, 113), (255, 255, 255)


def with_first_weight(subject: Subject, weight: np.ndarray) -> Subject:
    return replace(subject, tensors={**subject.tensors, "layers.0.weight": weight})


def colour_at(drawing: Drawing, png: bytes, tile: tuple[int, int], pixel: tuple[int, int], side: int) -> list[int]:
    """The colour, in the PNG, of the middle of a weight: ``tile`` and ``pixel`` are (row, column)."""
    zoom = round(36 / side)
    tall = zoom * side + 2 * FRAME
    second = grid_size((2, 1, side, side), 1, named=True)[0] - tall  # where a second row begins
    steps = (second, tall + GAP)
    row, column = (steps[axis] * tile[axis] + FRAME + zoom * (pixel[axis] + 0.5) - 0.5 for axis in (0, 1))
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    x, y = drawing.figure.axes[0].transData.transform((column, row))
    return [int(value) for value in image[int(image.shape[0] - y), int(x)]]


@pytest.fixture
def planted() -> np.ndarray:
    """Seven filters of 6 by 6; the fifth has +2 at row 1, column 4 and -2 at row 5, column 0, the rest is 0."""
    weight = np.zeros((7, 36), np.float32)
    weight[4, 1 * 6 + 4], weight[4, 5 * 6 + 0] = 2.0, -2.0
    return weight


def test_a_planted_filter_is_drawn_first_red_where_positive_and_blue_where_negative(
    images: Subject, planted: np.ndarray
) -> None:
    drawing, png, _ = Filters().render(with_first_weight(images, planted))
    assert colour_at(drawing, png, (0, 0), (1, 4), 6) == pytest.approx(RED, abs=2)
    assert colour_at(drawing, png, (0, 0), (5, 0), 6) == pytest.approx(BLUE, abs=2)
    assert colour_at(drawing, png, (0, 0), (0, 0), 6) == pytest.approx(WHITE, abs=1)
    assert colour_at(drawing, png, (0, 1), (1, 4), 6) == pytest.approx(WHITE, abs=1)
    assert "6 of them have less than a tenth" in drawing.caption
    assert "±2)" in drawing.caption


def test_a_kernel_planted_in_a_convolution_is_drawn_in_its_place(images: Subject) -> None:
    kernels = np.zeros((4, 1, 3, 3), np.float32)
    kernels[1, 0, 2, 0], kernels[3, 0, 0, 1] = 5.0, -10.0
    layers = {"layers": [{"kind": "conv2d"}]}
    subject = replace(with_first_weight(images, kernels), document={**images.document, "architecture": layers})
    drawing, png, _ = Filters().render(subject)
    assert colour_at(drawing, png, (0, 0), (0, 1), 3) == pytest.approx(BLUE, abs=2)
    halfway = colour_at(drawing, png, (0, 1), (2, 0), 3)
    assert halfway[0] > halfway[2] + 50, "half as strong, red, in the second place"
    assert halfway != pytest.approx(RED, abs=20)


def test_each_filter_on_its_own_scale_reaches_the_last_colour(images: Subject, planted: np.ndarray) -> None:
    planted[0, 0] = 0.01
    drawing, png, _ = Filters(scale="each").render(with_first_weight(images, planted))
    assert colour_at(drawing, png, (0, 1), (0, 0), 6) == pytest.approx(RED, abs=2)
    shared, png, _ = Filters().render(with_first_weight(images, planted))
    assert colour_at(shared, png, (0, 1), (0, 0), 6) == pytest.approx(WHITE, abs=3)


@pytest.mark.parametrize("picture", [Filters(count=4, numbers=False), PretrainedFilters(count=4, numbers=False)])
def test_only_so_many_filters_are_shown(images: Subject, picture: Picture) -> None:
    drawing, *_ = picture.render(images)
    assert "the 4 strongest of 7" in drawing.caption
    assert drawing.figure.axes[0].images[0].get_array().shape == (2 * 38 + GAP, 2 * 38 + GAP)


def test_pretrained_kernels_of_a_convolution_are_tiles(images: Subject) -> None:
    (first,) = images.pretrained
    kernels = np.random.default_rng(0).standard_normal((4, 1, 3, 3))
    labelled = {"method": "supervised", "labels": True}
    convolution = replace(first, tensors={"weight": kernels, "bias": np.zeros(4)}, summary=labelled)
    drawing, *_ = PretrainedFilters(numbers=False).render(replace(images, pretrained=(convolution,)))
    assert "3 by 3 weights after pretraining (supervised), which saw the images and their labels" in drawing.caption
    assert drawing.figure.axes[0].images[0].get_array().shape == (2 * 38 + GAP, 2 * 38 + GAP)


def test_each_filter_has_the_number_of_its_unit_above_it(images: Subject, planted: np.ndarray) -> None:
    planted[6, 0] = 1.0
    subject = with_first_weight(images, planted)
    subject = replace(subject, tensors={**subject.tensors, "layers.0.bias": np.array([-0.5, 0, 0, 0, 0, 0, 2.0])})
    drawing, *_ = Filters().render(subject)
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["4", "6", "0", "1", "2", "3", "5"]
    assert drawing.caption.endswith("Biases go from -0.5 to 2.")
    assert not Filters(numbers=False).render(subject)[0].figure.axes[0].texts


def test_filters_of_nothing_but_zeros_are_white(images: Subject) -> None:
    drawing, png, _ = Filters().render(with_first_weight(images, np.zeros((7, 36), np.float32)))
    assert colour_at(drawing, png, (0, 0), (3, 3), 6) == pytest.approx(WHITE, abs=1)


def test_colour_kernels_are_drawn_as_colours_around_grey(colours: Subject) -> None:
    kernels = np.zeros((1, 3, 3, 3), np.float32)
    kernels[0, 0, 0, 0] = 1.0
    drawing, png, _ = Filters().render(with_first_weight(colours, kernels))
    assert colour_at(drawing, png, (0, 0), (0, 0), 3) == pytest.approx((255, 128, 128), abs=2)
    assert colour_at(drawing, png, (0, 0), (2, 2), 3) == pytest.approx((128, 128, 128), abs=2)


def test_a_layer_behind_subsampling_has_no_filters_to_look_at(images: Subject) -> None:
    layers = {"layers": [{"kind": "max_pool2d"}, {"kind": "dense"}]}
    tensors = {"layers.1.weight": np.ones((3, 36), np.float32)}
    behind = replace(images, tensors=tensors, document={**images.document, "architecture": layers})
    assert not Filters().applies(behind)


def test_tiles_stand_in_order_of_rows() -> None:
    tiles = np.arange(6.0)[:, None, None] * np.ones((1, 40, 40))
    grid = assemble(tiles, columns=3, gap=-1.0)
    step = 40 + 2 * FRAME + GAP
    assert [grid[20 + step * row, 20 + step * column] for row in (0, 1) for column in (0, 1, 2)] == [0, 1, 2, 3, 4, 5]
    assert grid[0, 40 + 2 * FRAME] == -1.0
    assert np.isnan(grid[0, 0])


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (7, 3), (32, 8), (64, 8), (97, 10), (100, 10)])
def test_a_grid_is_about_square_with_full_rows_if_it_can(count: int, columns: int) -> None:
    assert columns_for(count) == columns
