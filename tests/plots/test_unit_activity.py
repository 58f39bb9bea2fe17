"""What is drawn of a layer's activity are its quantiles and shares, counted over the examples."""

from __future__ import annotations

import numpy as np
import pytest

from nnpipe.plots.picture import Subject
from nnpipe.plots.unit_activity import UnitActivity

from .conftest import dense, make_subject
from .planted import planted, template


def test_planted_dead_units_are_counted_and_values_that_are_zero() -> None:
    drawing, _, svg = UnitActivity().render(planted())
    assert "Layer 1: 1 of 4 units never answers and 25% of the values are zero." in drawing.caption
    shares = {bar.get_label(): [patch.get_height() for patch in bar] for bar in drawing.figure.axes[1].containers}
    assert shares == {"units that never answer": [0.25], "values that are zero": [0.25]}
    assert svg
    assert b"<title>layer 1, units that never answer: 25.0%</title>" in svg


def test_boxes_are_quantiles_of_the_activations() -> None:
    subject = planted()
    fits = (subject.inputs / 255).reshape(40, -1) @ np.stack([template(0).ravel(), template(1).ravel()]).T + 5
    values = np.concatenate([fits.ravel(), np.zeros(40), np.ones(40)])
    axes = UnitActivity().render(subject).drawing.figure.axes[0]
    outer, inner = axes.patches
    least, lower, median, upper, most = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert (outer.get_y(), outer.get_y() + outer.get_height()) == pytest.approx((least, most), rel=1e-5)
    assert (inner.get_y(), inner.get_y() + inner.get_height()) == pytest.approx((lower, upper), rel=1e-5)
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([median] * 2, rel=1e-5)


@pytest.mark.parametrize(("activation", "flat", "steep"), [("sigmoid", 4.0, 2.0), ("tanh", 2.0, 1.0)])
def test_values_at_the_flat_ends_are_counted(activation: str, flat: float, steep: float) -> None:
    """Units whose sums are biases alone: 3 of 4 lie beyond the ends that training's table knows."""
    tensors = {
        "layers.0.weight": np.zeros((4, 9), np.float32),
        "layers.0.bias": np.array([flat, -flat, flat, steep], np.float32),
        "layers.1.weight": np.zeros((2, 4), np.float32),
        "layers.1.bias": np.zeros(2, np.float32),
    }
    subject = make_subject((9,), [dense(4, 9, activation), dense(2, 4, "softmax")], 2, tensors=tensors)
    drawing = UnitActivity().render(subject).drawing
    assert "Layer 1: 75% of the values are at a flat end." in drawing.caption
    assert drawing.figure.axes[1].get_title(loc="left") == "Share of values at a flat end"


def test_a_layer_without_flat_ends_has_boxes_alone() -> None:
    subject = make_subject((9,), [dense(4, 9, "elu"), dense(2, 4, "softmax")], 2)
    drawing = UnitActivity().render(subject).drawing
    assert len(drawing.figure.axes) == 1
    assert "Layer 1: nine tenths of the values lie between" in drawing.caption


def test_maps_of_a_convolution_are_looked_at_value_by_value(colours: Subject) -> None:
    """Against the whole of the maps: a pixel of a map counts as a value, a filter as a unit."""
    import torch

    x = torch.from_numpy(colours.network.scaling.apply(colours.inputs))
    maps = colours.network.activations(x)[0].detach().numpy()
    caption = UnitActivity().render(colours).drawing.caption
    assert f"{(maps == 0).mean():.0%} of the values are zero" in caption
    assert maps.shape == (12, 6, 3, 3)


def test_of_a_deep_network_the_caption_tells_three_layers() -> None:
    layers = [dense(9, 9, "tanh") for _ in range(20)]
    drawing = UnitActivity().render(make_subject((9,), [*layers, dense(2, 9, "softmax")], 2)).drawing
    told = [number for number in range(1, 21) if f"Layer {number}:" in drawing.caption]
    assert told == [1, 11, 20]
    assert len(drawing.figure.axes[0].patches) == 40
    assert [tick.get_text() for tick in drawing.figure.axes[1].get_xticklabels()] == [*map(str, range(1, 21, 2))]


def test_a_network_without_a_hidden_nonlinearity_has_no_such_picture(line: Subject, plane: Subject) -> None:
    linear = make_subject((9,), [dense(4, 9, "linear"), dense(2, 4, "softmax")], 2)
    assert not any(UnitActivity().applies(subject) for subject in (line, plane, linear))
