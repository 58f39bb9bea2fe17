"""The surface and the way to it are those of the loss: against the analytic quadratic of a linear network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnpipe.plots import style
from nnpipe.plots.error_surface import ErrorSurface, draw_surface
from nnpipe.plots.picture import Subject
from nnpipe.plots.weight_space import WeightSpace, filter_normalised
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.seeds import generator
from tests.plots.conftest import dense, make_subject

STEPS = [-1.0, -0.25, 0.0, 0.5, 1.0]


def linear(rng: np.random.Generator) -> tuple[Subject, np.ndarray, np.ndarray]:
    """A network y = W x + b of random weights, with inputs (40, 6) and any answers (40, 3)."""
    return make_subject((6,), [dense(3, 6, "linear")], 3), rng.standard_normal((40, 6)), rng.standard_normal((40, 3))


def test_the_surface_of_a_linear_network_is_its_quadratic() -> None:
    made, x, y = linear(np.random.default_rng(0))
    space = WeightSpace(made.network, MeanSquaredError(), torch.tensor(x).float(), torch.tensor(y).float())
    right, up = (filter_normalised(space.trained, generator(0, number)) for number in (0, 1))
    weight, bias = (made.tensors[f"layers.0.{name}"].astype(float) for name in ("weight", "bias"))
    # mean |r + c A + d B|^2 = mean |r|^2 + 2 c r.A + 2 d r.B + c^2 |A|^2 + 2 c d A.B + d^2 |B|^2 of residuals r
    residual = x @ weight.T + bias - y
    a, b = (x @ direction["layers.0.weight"].numpy().astype(float).T for direction in (right, up))
    expected = [
        [
            np.mean(residual**2)
            + 2 * column * np.mean(residual * a)
            + 2 * row * np.mean(residual * b)
            + column**2 * np.mean(a**2)
            + 2 * column * row * np.mean(a * b)
            + row**2 * np.mean(b**2)
            for column in STEPS
        ]
        for row in STEPS
    ]
    np.testing.assert_allclose(space.over(right, up, STEPS), expected, rtol=1e-4)


def test_directions_are_as_long_as_the_weights_filter_by_filter_and_leave_biases_alone(pooled: Subject) -> None:
    weights = {name: parameter.detach() for name, parameter in pooled.network.named_parameters()}
    direction = filter_normalised(weights, generator(0))
    for name in ("layers.0.weight", "layers.3.weight"):
        lengths = weights[name].flatten(1).norm(dim=1)
        np.testing.assert_allclose(direction[name].flatten(1).norm(dim=1), lengths, rtol=1e-5)
        assert not torch.allclose(direction[name], weights[name])
    assert not direction["layers.0.bias"].any()


def test_the_way_leads_from_the_first_to_the_trained_weights_and_leaves_the_network_as_it_is() -> None:
    made, x, y = linear(np.random.default_rng(1))
    space = WeightSpace(made.network, MeanSquaredError(), torch.tensor(x).float(), torch.tensor(y).float())
    first = {name: torch.zeros_like(weight) for name, weight in space.trained.items()}
    outputs = x @ made.tensors["layers.0.weight"].T + made.tensors["layers.0.bias"]
    expected = [np.mean((share * outputs - y) ** 2) for share in (0, 0.5, 1, 1.25)]
    np.testing.assert_allclose(space.along(first, [0, 0.5, 1, 1.25]), expected, rtol=1e-5)
    np.testing.assert_array_equal(made.network.layers[0].weight.detach(), made.tensors["layers.0.weight"])


def test_the_loss_of_the_middle_is_that_of_the_network(images: Subject) -> None:
    drawing, *_ = ErrorSurface().render(images)
    probabilities = images.network(torch.from_numpy(images.inputs.astype(np.float32))).detach().numpy()
    loss = -np.log(probabilities[np.arange(12), images.truth]).mean()
    assert f"The loss is {loss:.3g} at the trained weights" in drawing.caption
    assert "12 test examples" in drawing.caption
    assert len(drawing.figure.axes) == 1, "first weights are not known"


def test_a_hill_on_the_way_is_told_of_and_a_way_without_is_too(line: Subject) -> None:
    # Zero, then the trained weights: squared error of a linear network has no hill between them.
    first = {name: np.zeros_like(tensor) for name, tensor in line.tensors.items()}
    drawing, *_ = ErrorSurface(steps=5).render(replace(line, first=first))
    assert "falls all the way" in drawing.caption
    assert drawing.figure.axes[1].get_title(loc="left") == "Loss on the straight way from the first weights"
    # From beyond the other side of the valley one climbs out of it again.
    beyond = {name: 3 * tensor for name, tensor in line.tensors.items()}
    over, *_ = ErrorSurface(steps=5).render(replace(line, first=beyond, tensors=first))
    assert "has to climb by" in over.caption


def test_an_untrained_network_has_no_surface(images: Subject) -> None:
    assert not ErrorSurface().applies(replace(images, history={"records": []}))
    assert not ErrorSurface().applies(replace(images, loss=None))


@pytest.mark.parametrize("scale", [0.0, 1e30])
def test_flat_and_overflowing_surfaces_are_drawn(images: Subject, scale: float) -> None:
    tensors = {name: (scale * tensor).astype(np.float32) for name, tensor in images.tensors.items()}
    drawing, *_ = ErrorSurface(steps=5).render(replace(images, tensors=tensors))
    assert drawing.figure.axes


def test_no_number_of_a_line_is_cut_off_by_the_edge() -> None:
    steps = np.linspace(-1, 1, 13)
    surface = 1 + np.add.outer(steps**2, (steps - 0.4) ** 2)  # some lines are short, and near a corner
    with style.applied():
        figure = style.new_figure(4)
        axes = figure.subplots()
        draw_surface(axes, steps, surface)
        figure.draw_without_rendering()
        box = axes.get_window_extent()
        numbers = [text.get_window_extent() for text in axes.texts]
    assert numbers
    assert all(box.x0 <= each.x0 and each.x1 <= box.x1 and box.y0 <= each.y0 and each.y1 <= box.y1 for each in numbers)
