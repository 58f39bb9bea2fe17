"""Pictures of weights above the first layer: what is planted is drawn where it should be."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

from nnpipe.plots.deep_filters import DeepFilters, correlation
from nnpipe.plots.dense_matrix import MOST_COLUMNS, DenseMatrix, shrunk
from nnpipe.plots.filter_film import FilterFilm
from nnpipe.plots.picture import Drawing, Pretrained, Subject
from nnpipe.plots.second_layer_kernels import SecondLayerKernels
from nnpipe.plots.tile_matrix import GAP, ROOM
from nnpipe.plots.weights import weights_of
from tests.plots.conftest import dense, make_subject

RED, BLUE, WHITE, GREY = (122, 10, 33), (11, 60, 113), (255, 255, 255), (171, 171, 171)
POOL: dict[str, Any] = {"kind": "max_pool2d", "size": 2}


def conv(filters: int, inputs: int, kernel: int, **options: Any) -> dict[str, Any]:
    return {"kind": "conv2d", "filters": filters, "kernel": kernel, "inputs": inputs, "activation": "relu", **options}


def convnet(*, shape: tuple[int, int, int] = (1, 9, 9), between: tuple[dict[str, Any], ...] = ()) -> Subject:
    """Convolutions 5 of 3x3 and 4 of 2x2, what is ``between`` them, dense layers of 12 and 3 units."""
    inside = 6 if not between else 2
    layers = [conv(5, shape[0], 3), *between, conv(4, 5, 2), {"kind": "flatten"}]
    return make_subject(shape, [*layers, dense(12, 4 * inside**2, "relu"), dense(3, 12, "softmax")], 3)


def planted(subject: Subject, place: int, weight: np.ndarray) -> Subject:
    return replace(subject, tensors={**subject.tensors, f"layers.{place}.weight": weight.astype(np.float32)})


def colour_of(drawing: Drawing, png: bytes, axes: int, row: float, column: float) -> list[int]:
    """The colour in the PNG at data coordinates of the figure's ``axes``."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    x, y = drawing.figure.axes[axes].transData.transform((column, row))
    return [int(value) for value in image[int(image.shape[0] - y), int(x)]]


def labels(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.texts]


def test_a_layer_is_told_the_maps_that_it_sees_even_behind_a_flatten() -> None:
    found = weights_of(convnet(between=(POOL, {"kind": "dropout", "rate": 0.5})))
    assert [(each.place, each.sees, each.between) for each in found] == [
        (0, (1, 9, 9), ()),
        (3, (5, 3, 3), ("max_pool2d", "dropout")),
        (5, (4, 2, 2), ("flatten",)),
        (6, (12,), ()),
    ]


def test_a_planted_kernel_stands_in_the_row_of_its_filter_and_the_column_of_its_channel() -> None:
    kernels = np.zeros((4, 5, 2, 2))
    kernels[2, 3] = [[1.0, -1.0], [0.0, 1.0]]  # the strongest filter and channel come first
    kernels[1, 4] = [[0.0, 0.0], [0.0, -0.5]]
    drawing, png, _ = SecondLayerKernels().render(planted(convnet(), 1, kernels))
    zoom = 36  # a tile of two weights is 72 pixels wide at most
    step = 2 * zoom + GAP
    at = {(y, x): ((y + 0.5) * zoom, (x + 0.5) * zoom) for y in (0, 1) for x in (0, 1)}
    assert colour_of(drawing, png, 0, *at[0, 0]) == pytest.approx(RED, abs=2)
    assert colour_of(drawing, png, 0, *at[0, 1]) == pytest.approx(BLUE, abs=2)
    assert colour_of(drawing, png, 0, *at[1, 0]) == pytest.approx(WHITE, abs=1)
    second = colour_of(drawing, png, 0, step + at[1, 1][0], step + at[1, 1][1])
    assert second[2] > second[0] + 50, "half as strong, blue, in the second row and column"
    assert colour_of(drawing, png, 0, at[0, 0][0], 2 * zoom + 1) == pytest.approx(GREY, abs=1)
    assert labels(drawing)[:9] == ["3", "4", "0", "1", "2", "2", "1", "0", "3"]
    assert "the most in that of filter 2 for channel 3" in drawing.caption
    assert "Half of all squared weight lies in 1 of 20 kernels" in drawing.caption


def test_above_each_channel_stands_the_first_filter_that_makes_it() -> None:
    first, kernels = np.zeros((5, 1, 3, 3)), np.zeros((4, 5, 2, 2))
    first[3, 0, 0, 0], kernels[0, 3, 0, 0] = 2.0, 1.0
    subject = planted(planted(convnet(between=(POOL,)), 0, first), 2, kernels)
    drawing, png, _ = SecondLayerKernels().render(subject)
    assert colour_of(drawing, png, 1, 10, 10) == pytest.approx(RED, abs=2)
    assert colour_of(drawing, png, 1, 10, 85) == pytest.approx(WHITE, abs=1)
    assert "Above each column stands the first layer's filter" in drawing.caption


def test_filters_of_channels_that_were_mixed_on_the_way_are_not_shown_above() -> None:
    layers = [conv(5, 1, 3), {"kind": "custom", "class": "my.Own", "output_shape": [5, 6, 6]}, conv(4, 5, 2)]
    drawing, *_ = SecondLayerKernels().render(make_subject((1, 9, 9), layers, 3))
    assert "Above each column" not in drawing.caption
    assert drawing.title == "Kernels of a deeper convolution"


def test_grouped_kernels_are_numbered_within_their_group() -> None:
    subject = make_subject((1, 9, 9), [conv(6, 1, 3), {**conv(4, 3, 2), "groups": 2}], 3)
    drawing, *_ = SecondLayerKernels().render(subject)
    assert "channel of its group" in labels(drawing)
    depthwise = make_subject((1, 9, 9), [conv(4, 1, 3), {**conv(4, 1, 2), "groups": 4}], 3)
    assert not SecondLayerKernels().applies(depthwise)


def test_only_so_many_kernels_are_shown_of_the_layer_that_is_named() -> None:
    subject = make_subject((1, 20, 20), [conv(5, 1, 3), conv(40, 5, 3), conv(30, 40, 3)], 3)
    drawing, *_ = SecondLayerKernels(layer=2, filters=7, channels=20).render(subject)
    assert "Shown are 7 of 30 filters and 20 of 40 channels" in drawing.caption
    assert not SecondLayerKernels(layer=0).applies(subject)
    shown = drawing.figure.axes[0].images[0].get_array()
    zoom = (ROOM // 20 - GAP) // 3
    assert shown.shape == (7 * (3 * zoom + GAP) - GAP, 20 * (3 * zoom + GAP) - GAP)


def test_a_planted_weight_of_a_dense_layer_stands_in_its_row_and_under_its_map() -> None:
    weight = np.zeros((12, 4, 6, 6))
    weight[7, 2, 0, 5], weight[7, 2, 5, 5], weight[4, 1, 3, 0] = 3.0, -3.0, 2.0
    drawing, png, _ = DenseMatrix().render(planted(convnet(), 3, weight.reshape(12, 144)))
    assert drawing.figure.axes[0].images[0].get_array().shape == (12, 144)
    assert colour_of(drawing, png, 0, 0, 5) == pytest.approx(RED, abs=2)
    assert colour_of(drawing, png, 0, 0, 35) == pytest.approx(BLUE, abs=2)
    assert colour_of(drawing, png, 0, 1, 36 + 18)[0] > 150
    assert colour_of(drawing, png, 0, 5, 100) == pytest.approx(WHITE, abs=1)
    marks = drawing.figure.axes[0].get_xticklabels(minor=True)
    assert [mark.get_text() for mark in marks] == ["2", "1", "0", "3"]
    assert drawing.figure.axes[0].get_xticks().tolist() == [-0.5, 35.5, 71.5, 107.5, 143.5]
    assert "in 1 of the 4 maps" in drawing.caption
    assert "10 have less than a tenth" in drawing.caption
    assert "Each cell is one weight." in drawing.caption


def test_rows_of_the_last_layer_are_the_classes_in_their_order() -> None:
    subject = make_subject((20,), [dense(15, 20), dense(10, 15, "softmax")], 10)
    drawing, *_ = DenseMatrix().render(subject)
    names = [mark.get_text() for mark in drawing.figure.axes[0].get_yticklabels()]
    assert names == [f"class-{label}" for label in range(10)]
    weight = subject.tensors["layers.1.weight"]
    order = np.argsort(-np.square(weight).sum(0))
    np.testing.assert_array_equal(drawing.figure.axes[0].images[0].get_array(), weight[:, order])


def test_many_weights_become_one_cell_by_their_mean_or_the_strongest() -> None:
    weight = np.random.default_rng(0).standard_normal((5, 32, 100))
    cells, together = shrunk(weight, "mean")
    assert cells.shape == (5, 32, 12)
    assert together == (1, 9)
    assert cells.shape[1] * cells.shape[2] <= MOST_COLUMNS
    edges = [100 * cell // 12 for cell in range(13)]
    pieces = [weight[3, 7, start:stop] for start, stop in pairwise(edges)]
    np.testing.assert_allclose(cells[3, 7], [piece.mean() for piece in pieces])
    strongest, _ = shrunk(weight, "strongest")
    np.testing.assert_array_equal(strongest[3, 7], [piece[np.abs(piece).argmax()] for piece in pieces])


def test_rows_are_put_together_too() -> None:
    weight = np.arange(1000.0)[:, None, None] * np.ones((1, 1, 2))
    cells, together = shrunk(weight, "mean")
    assert together == (3, 1)
    assert len(cells) == 334
    assert cells[:, 0, 0].tolist() == pytest.approx(
        [weight[1000 * row // 334 : 1000 * (row + 1) // 334].mean() for row in range(334)]
    )


def test_deep_filters_are_the_products_of_the_weights_worked_out_by_hand() -> None:
    subject = make_subject((1, 1, 2), [dense(2, 2, "linear"), dense(3, 2, "linear"), dense(2, 3, "softmax")], 2)
    subject = planted(subject, 0, np.array([[1, 2], [0, -1]]))
    subject = planted(subject, 1, np.array([[1, 0], [1, 1], [0, 4]]))
    subject = planted(subject, 2, np.array([[1, 0, 0], [0, 1, -1]]))
    drawing, *_ = DeepFilters().render(subject)
    second, third = (axes.images[0].get_array() for axes in drawing.figure.axes)
    # Layer 2 reads [1 2], [1 1], [0 -4] of the image: the third is the strongest, then the first.
    assert [second[10, 5 + 43 * tile] for tile in range(3)] == [0, 1, 1]
    assert [second[10, 30 + 43 * tile] for tile in range(3)] == [-4, 2, 1]
    # Layer 3 reads [1 2] and [1 1] - [0 -4] = [1 5], drawn in the order of classes.
    assert [(third[10, 5 + 43 * tile], third[10, 30 + 43 * tile]) for tile in range(2)] == [(1, 2), (1, 5)]
    names = [[text.get_text() for text in axes.texts] for axes in drawing.figure.axes]
    assert names == [["2", "0", "1"], ["class-0", "class-1"]]
    assert "1.00 in layer 2 and 1.00 in layer 3" in drawing.caption, "linear layers lose nothing"


def test_what_saturating_layers_lose_is_told() -> None:
    subject = make_subject((1, 4, 4), [dense(8, 16, "sigmoid"), dense(5, 8, "sigmoid")], 5)
    drawing, *_ = DeepFilters().render(subject)
    network = subject.network
    assert network.scaling.scale == 1, "pixels up to 255 saturate every unit"
    x = subject.inputs.reshape(12, 16).astype(np.float64)
    first, second = (subject.tensors[f"layers.{i}.weight"].astype(np.float64) for i in (0, 1))
    hidden = expit(x @ first.T + subject.tensors["layers.0.bias"])
    columns = zip((x @ first.T @ second.T).T, (hidden @ second.T).T, strict=True)
    expected = np.median([np.corrcoef(read, summed)[0, 1] for read, summed in columns])
    assert f"sum up to {expected:.2f} in layer 2" in drawing.caption
    assert expected < 0.95


def test_units_that_never_change_correlate_with_nothing() -> None:
    varied = np.random.default_rng(0).standard_normal((9, 3))
    assert correlation(varied, np.zeros((9, 3))) == 0
    assert correlation(varied, np.concatenate([varied[:, :2] * 3 + 1, np.ones((9, 1))], 1)) == pytest.approx(1)


def test_deep_filters_end_where_a_layer_is_not_dense_and_at_a_code() -> None:
    pictured = make_subject((1, 4, 4), [dense(8, 16), dense(2, 8), dense(8, 2), dense(16, 8)], 2)
    assert len(DeepFilters().render(pictured)[0].figure.axes) == 3
    coded = replace(pictured, document={**pictured.document, "code": 1})
    assert len(DeepFilters().render(coded)[0].figure.axes) == 1
    assert not DeepFilters().applies(convnet())


def test_of_many_layers_the_first_and_the_last_are_shown() -> None:
    subject = make_subject((1, 4, 4), [dense(16, 16) for _ in range(8)], 16)
    drawing, *_ = DeepFilters(layers=3, count=10).render(subject)
    assert "units of layers 2, 3 and 8" in drawing.caption
    assert "10 of 16 units" in labels(drawing)[0]


def filmed(images: Subject, weight: np.ndarray, epochs: list[int]) -> Subject:
    (first,) = images.pretrained
    return replace(images, pretrained=(replace(first, snapshots={"weight": weight, "epoch": np.array(epochs)}),))


def test_a_film_has_a_frame_for_each_look_on_one_scale_and_says_the_epoch(images: Subject) -> None:
    weight = np.zeros((4, 4, 36), np.float16)
    weight[:, 0] = np.array([0.0, 1.0, 2.0, 4.0])[:, None]
    rendered = FilterFilm().render(filmed(images, weight, [0, 1, 2, 4]))
    drawing = rendered.drawing
    frames = [*drawing.film, drawing.figure]
    assert [figure.texts[0].get_text() for figure in frames] == [f"epoch {epoch} of 3" for epoch in (0, 1, 2, 4)]
    assert {figure.axes[0].images[0].get_clim() for figure in frames} == {(-4.0, 4.0)}
    shown = [figure.axes[0].images[0].get_array()[10, 10] for figure in frames]
    assert shown == [0, 1, 2, 4], "in the first filter"
    with Image.open(io.BytesIO(rendered.png)) as film:
        assert film.n_frames == 4
        film.seek(3)
        last = np.asarray(film.convert("RGB"))
    x, y = drawing.figure.axes[0].transData.transform((10, 10))
    assert last[int(last.shape[0] - y), int(x)].tolist() == pytest.approx(RED, abs=2)
    assert "Shown are the first 4 of 7 units" in drawing.caption
    assert "mean norm goes from 0 to 6; from epoch 1 on" in drawing.caption


def test_a_film_of_noise_as_large_as_mnist_stays_below_a_megabyte(images: Subject) -> None:
    attributes = {**images.attributes, "input_shape": [1, 28, 28]}
    weight = np.random.default_rng(0).standard_normal((20, 16, 784)).astype(np.float16)
    film = FilterFilm().render(replace(filmed(images, weight, list(range(20))), attributes=attributes))
    assert len(film.drawing.film) == 9
    assert len(film.png) < 1_000_000


def test_kernels_of_colours_are_filmed_too(colours: Subject) -> None:
    weight = np.random.default_rng(0).standard_normal((2, 6, 3, 3, 3)).astype(np.float16)
    snapshots = {"weight": weight, "epoch": np.array([0, 1])}
    tensors = {"weight": weight[-1], "bias": np.zeros(6)}
    layer = Pretrained(tensors, [{"epoch": 1}], {"method": "autoencoder"}, {}, snapshots)
    drawing, *_ = FilterFilm().render(replace(colours, pretrained=(layer,)))
    assert drawing.figure.axes[0].images[0].get_array().shape[-1] == 3


def test_a_layer_without_snapshots_has_no_film(images: Subject) -> None:
    (first,) = images.pretrained
    assert not FilterFilm().applies(replace(images, pretrained=(replace(first, snapshots=None),)))
    assert not FilterFilm().applies(replace(images, pretrained=()))
