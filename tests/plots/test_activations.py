"""The activations drawn are those of the chosen example, in their layers and places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.plots.activations import Activations
from nnpipe.plots.picture import Drawing, Subject

from .conftest import dense, make_subject
from .planted import planted


def titles(drawing: Drawing) -> list[str]:
    return [text.get_text().replace("\N{MULTIPLICATION SIGN}", "x") for text in drawing.figure.texts]


def test_a_planted_kernel_answers_where_its_pattern_is_and_pooling_keeps_it(colours: Subject) -> None:
    kernels = np.zeros((6, 3, 2, 2), np.float32)
    kernels[4, 0, 1, 1] = 2.0
    layers = [{"kind": "conv2d", "filters": 6, "kernel": 2, "inputs": 3, "activation": "relu"}]
    pool, flatten, last = {"kind": "max_pool2d", "size": 2}, {"kind": "flatten"}, dense(4, 24, "softmax")
    subject = make_subject((3, 5, 5), [*layers, pool, flatten, last], 4)
    inputs = np.zeros((12, 3, 5, 5), np.uint8)
    inputs[1, 0, 3, 2] = 100
    planted_tensors = {"layers.0.weight": kernels, "layers.0.bias": np.zeros(6, np.float32)}
    subject = replace(subject, inputs=inputs, tensors={**subject.tensors, **planted_tensors})
    drawing = Activations(example=1).render(subject).drawing
    _, convolved, pooled, bars = drawing.figure.axes
    whole = convolved.images[0].get_array()
    assert np.unique(whole[~np.isnan(whole)]).tolist() == [0, 200]
    # Maps are 4 by 4 in tiles of 36 cells, a frame of one around each, and gaps of five between them.
    rows, columns = np.nonzero(whole == 200)
    assert (rows.min(), rows.max()) == (1 + 2 * 9, 3 * 9)
    assert (columns.min(), columns.max()) == (4 * 43 + 1 + 9, 4 * 43 + 2 * 9)
    assert pooled.images[0].get_array()[1 + 18 + 3, 4 * 43 + 1 + 3] == 200
    assert [tick.get_text() for tick in bars.get_yticklabels()] == ["class-0", "class-1", "class-2", "class-3"]
    assert titles(drawing) == [
        "input",
        "1  conv2d  6x4x4  relu: 0 to 200",
        "2  max pool2d  6x2x2: 0 to 200",
        "4  dense  4  softmax",
    ]
    assert "Of the values 99% of layer 1 and 96% of layer 2 are zero." in drawing.caption


def test_units_stand_in_rows_and_classes_have_the_networks_probabilities() -> None:
    subject = planted()
    drawing = Activations(example=3).render(subject).drawing
    _, units, bars = drawing.figure.axes
    expected = subject.network.activations(torch_of(subject, 3))
    np.testing.assert_allclose(units.collections[0].get_array().ravel(), expected[0][0].detach())
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(subject.predictions[3].tolist(), rel=1e-4)
    assert f"The network says class-{subject.truth[3]}, with probability {subject.predictions[3].max():.3f}." in (
        drawing.caption
    )


def torch_of(subject: Subject, example: int) -> torch.Tensor:
    return torch.from_numpy(subject.network.scaling.apply(subject.inputs[[example]]))


def test_the_first_example_that_is_predicted_right_is_chosen() -> None:
    subject = planted()
    truth = subject.truth.copy()
    truth[:5] = 1 - truth[:5]
    assert "What test example 5 makes" in Activations().render(replace(subject, truth=truth)).drawing.caption
    wrong = Activations(example=2).render(replace(subject, truth=truth)).drawing
    assert f"It is class-{truth[2]}." in wrong.caption


def test_only_so_many_maps_are_shown(colours: Subject) -> None:
    drawing = Activations(maps=4).render(colours).drawing
    assert titles(drawing)[1].startswith("1  conv2d  6x3x3  relu, 4 of 6 maps: 0 to ")


def test_many_units_stand_in_full_rows_and_the_most_of_very_many_are_left_out() -> None:
    subject = make_subject((1, 3, 3), [dense(500, 9), dense(2100, 500), dense(2, 2100, "softmax")], 2)
    drawing = Activations().render(subject).drawing
    shapes = [axes.collections[0].get_array().shape for axes in drawing.figure.axes[1:3]]
    assert shapes == [(10, 50), (20, 100)]
    assert "2  dense  2100  sigmoid, the first 2,000: " in titles(drawing)[2]
    assert "at a flat end of the nonlinearity" in drawing.caption


def test_negative_activations_are_blue_and_the_caption_says_where() -> None:
    subject = make_subject((1, 3, 3), [dense(8, 9, "tanh"), dense(8, 8, "relu"), dense(2, 8, "softmax")], 2)
    drawing = Activations().render(subject).drawing
    signed, positive = (axes.collections[0].get_clim() for axes in drawing.figure.axes[1:3])
    assert signed[0] == -signed[1]
    assert positive[0] == 0
    assert "where values are negative too (layer 1)" in drawing.caption


def test_of_a_deep_network_eight_layers_are_shown() -> None:
    layers = [dense(9, 9, "relu") for _ in range(20)]
    drawing = Activations().render(make_subject((1, 3, 3), [*layers, dense(2, 9, "softmax")], 2)).drawing
    assert len(drawing.figure.axes) == 1 + 8
    assert titles(drawing)[1].startswith("1  ")
    assert titles(drawing)[-1].startswith("21  ")
    assert "8 of 21" in drawing.caption


def test_an_autoencoder_ends_with_the_image_that_it_gives_back(encoded: Subject) -> None:
    drawing = Activations().render(encoded).drawing
    assert titles(drawing)[-1] == "2  dense  16  sigmoid: the input given back"
    outputs = encoded.network(torch_of(encoded, 0)).detach().numpy().reshape(4, 4)
    drawn = np.asarray(drawing.figure.axes[-1].images[0].get_array())[1:-1:9, 1:-1:9]
    np.testing.assert_allclose(drawn, 1 - outputs, rtol=1e-4, atol=1e-6)


def test_of_many_classes_with_hostile_names_the_likeliest_are_bars(images: Subject) -> None:
    subject = make_subject((1, 6, 6), [dense(7, 36), dense(100, 7, "softmax")], 100)
    names = ["$x_", "<b>", "\\frac{", "a" * 80] + [f"kind {number}" for number in range(96)]
    drawing = (
        Activations()
        .render(
            replace(
                subject,
                attributes={**subject.attributes, "class_names": names},
                document={**subject.document, "class_names": names},
            )
        )
        .drawing
    )
    widths = [bar.get_width() for bar in drawing.figure.axes[-1].patches]
    assert len(widths) == 10
    assert widths == sorted(widths, reverse=True)


def test_an_example_that_is_not_there_is_refused() -> None:
    with pytest.raises(StageError) as caught:
        Activations(example=40).render(planted())
    assert caught.value.expected == "a number from 0 to 39"
    assert caught.value.where == "visualize, activations.example"
