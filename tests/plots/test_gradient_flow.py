"""The picture of the gradient shows the lengths that were measured, and says whether they vanish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nnpipe.plots.gradient_flow import GradientFlow
from nnpipe.plots.picture import Subject


def looking_inside(subject: Subject, epochs: Sequence[Sequence[float]]) -> Subject:
    """``subject`` with gradients of these lengths, layer by layer; between the layers lies one without weights."""
    inside = [
        {name: measures for index, norm in enumerate(norms) for name, measures in pair(index, norm)} for norms in epochs
    ]
    return replace(subject, history={**subject.history, "inside": inside})


def pair(index: int, norm: float) -> list[tuple[str, dict[str, float]]]:
    return [(str(2 * index), {"gradient_norm": norm}), (str(2 * index + 1), {"activation_std": 1.0})]


def seen(axes: Axes) -> list[Line2D]:
    """The lines of a panel, without what is only told."""
    return [line for line in axes.lines if line.get_gid() is None]


def test_a_vanishing_gradient_is_drawn_and_said(images: Subject) -> None:
    drawing, *_ = GradientFlow().render(looking_inside(images, [[1e-6, 1e-4, 1e-2], [1e-2, 1e-2, 1e-1]]))
    layers, epochs = drawing.figure.axes
    assert [list(line.get_ydata()) for line in seen(layers)] == [[1e-6, 1e-4, 1e-2], [1e-2, 1e-2, 1e-1]]
    assert [list(line.get_ydata()) for line in seen(epochs)] == [[1e-6, 1e-2], [1e-4, 1e-2], [1e-2, 1e-1]]
    assert layers.get_yscale() == epochs.get_yscale() == "log"
    assert "the first layer's is 1e+04 times smaller than the last one's" in drawing.caption


@pytest.mark.parametrize(
    ("norms", "said"),
    [([0.1, 0.2], "of one order"), ([9.0, 1.0], "9 times larger"), ([0.0, 1.0], "no gradient at all")],
)
def test_without_training_one_panel_tells_what_the_first_weights_give(
    norms: list[float], said: str, images: Subject
) -> None:
    drawing, *_ = GradientFlow().render(looking_inside(images, [norms]))
    assert len(drawing.figure.axes) == 1
    assert said in drawing.caption
    assert "epoch" not in drawing.caption


def test_a_network_of_one_layer_or_one_that_nobody_looked_into_has_no_such_picture(images: Subject) -> None:
    assert not GradientFlow().applies(replace(images, history={"records": []}))
    assert not GradientFlow().applies(looking_inside(images, [[0.1]]))


def test_what_is_pointed_at_is_told_and_numbers_stand_at_a_narrow_axis_too(images: Subject) -> None:
    drawing, _, svg = GradientFlow().render(looking_inside(images, [[0.02, 0.5], [0.03, 0.4]]))
    assert svg is not None
    assert b"<title>layer 1, before training: 0.02</title>" in svg
    assert b"<title>layer 2, epoch 1: 0.4</title>" in svg
    low, high = drawing.figure.axes[0].get_ylim()
    ticks = [tick for tick in drawing.figure.axes[0].get_yticks() if low <= tick <= high]
    assert ticks == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5])
