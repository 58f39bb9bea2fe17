"""What attributions must be of networks whose answer is known: weights, differences, the pixel that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nnpipe.errors import StageError
from nnpipe.plots.attribution import gradient, integrated_gradients, occlusion
from nnpipe.plots.attributions import Attributions
from nnpipe.plots.picture import Subject

from .planted import planted, template

BLANK = torch.zeros(2, 5, 4)


def examples() -> tuple[Tensor, Tensor]:
    """Three images of two channels and 5 by 4 pixels, and classes to ask about."""
    return torch.rand(3, 2, 5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 0, 1])


def curved(x: Tensor) -> Tensor:
    """Scores of two classes that depend on every pixel smoothly, and not as a sum over pixels."""
    weights = torch.randn(2, 40, generator=torch.Generator().manual_seed(1), dtype=x.dtype) / 4
    return (x.flatten(1) @ weights.T).tanh() + x.flatten(1).square().mean(1, keepdim=True)


def linear(weight: Tensor) -> nn.Module:
    layer = nn.utils.skip_init(nn.Linear, weight[0].numel(), len(weight))
    nn.init.zeros_(layer.bias)
    layer.weight.data.copy_(weight.flatten(1))
    return nn.Sequential(nn.Flatten(), layer)


def test_the_gradient_of_a_linear_network_is_its_weights_whatever_the_image() -> None:
    weight = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(2))
    x, classes = examples()
    np.testing.assert_allclose(gradient(linear(weight), x, classes), weight[classes].sum(1), rtol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, classes = (value.double() if value.is_floating_point() else value for value in examples())
    found = gradient(curved, x, classes)
    step = torch.zeros_like(x)
    step[:, :, 3, 1] = 1e-6
    change = (curved(x + step) - curved(x - step))[range(3), classes] / 2e-6
    np.testing.assert_allclose(found[:, 3, 1], change, rtol=1e-5)


def test_integrated_gradients_add_up_to_the_difference_of_the_scores() -> None:
    x, classes = examples()
    baseline = torch.full((2, 5, 4), 0.25)
    found = integrated_gradients(curved, x, classes, baseline, 32)
    difference = (curved(x) - curved(baseline[None]))[range(3), classes]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), difference, rtol=1e-5)


def test_integrated_gradients_of_a_product_share_it_equally() -> None:
    """The integral of x1 x2 along the straight line from zero is worked by hand: each factor gets half."""

    def product(x: Tensor) -> Tensor:
        return (x[:, 0, 0, 0] * x[:, 0, 4, 3])[:, None]

    x, _ = examples()
    found = integrated_gradients(product, x, torch.zeros(3, dtype=torch.int64), BLANK, 8)
    half = product(x)[:, 0] / 2
    np.testing.assert_allclose(found[:, 0, 0], half, rtol=1e-5)
    np.testing.assert_allclose(found[:, 4, 3], half, rtol=1e-5)
    assert np.count_nonzero(found) == 6


def test_occlusion_finds_the_one_pixel_that_matters() -> None:
    def one_pixel(x: Tensor) -> Tensor:
        return x[:, :1, 2, 3].square()

    x, _ = examples()
    found = occlusion(one_pixel, x, torch.zeros(3, dtype=torch.int64), BLANK, 1)
    np.testing.assert_allclose(found[:, 2, 3], one_pixel(x)[:, 0], rtol=1e-6)
    assert np.count_nonzero(found) == 3


@pytest.mark.parametrize("window", [1, 2, 3])
def test_occlusion_is_the_mean_loss_over_the_squares_that_cover_a_pixel(window: int) -> None:
    """Against a loop over squares, each a batch of one."""
    x, classes = examples()
    baseline = torch.full((2, 5, 4), 0.5)
    lost, covers = np.zeros((3, 5, 4)), np.zeros((5, 4))
    for top in range(5 - window + 1):
        for left in range(4 - window + 1):
            place = (slice(top, top + window), slice(left, left + window))
            covered = x.clone()
            covered[:, :, *place] = baseline[:, *place]
            drop = (curved(x) - curved(covered))[range(3), classes].numpy()
            lost[:, *place] += drop[:, None, None]
            covers[place] += 1
    np.testing.assert_allclose(occlusion(curved, x, classes, baseline, window), lost / covers, atol=1e-6)


def test_each_method_is_drawn_red_where_pixels_speak_for_the_predicted_class() -> None:
    subject = planted()
    drawing = Attributions(count=1).render(subject).drawing
    image, slope, *_ = drawing.figure.axes
    assert image.images[0].get_array().shape == (38, 38)
    drawn = np.asarray(slope.images[0].get_array())[1:-1:6, 1:-1:6]
    np.testing.assert_allclose(drawn, 3 * template(0)[0], rtol=1e-5)
    assert slope.images[0].get_clim() == pytest.approx((-3 * template(0).max(), 3 * template(0).max()))
    assert "add up to the score's difference from that of a blank image to within less than 0.1%" in drawing.caption
    assert "a square of 2 by 2 pixels" in drawing.caption


def test_right_examples_come_first_and_then_the_most_confident_mistakes() -> None:
    subject = planted()
    predictions = np.full((40, 2), 0.5, np.float32)
    predictions[:, 0] = np.linspace(0.6, 0.9, 40)
    predictions[:, 1] = 1 - predictions[:, 0]
    truth = np.zeros(40, np.int64)
    truth[[5, 8, 20]] = 1
    drawing = Attributions(count=2).render(replace(subject, predictions=predictions, truth=truth)).drawing
    told = [text.get_text() for text in drawing.figure.texts[4:]]
    right, worst, second = (f"{predictions[place, 0]:.3f}" for place in (0, 20, 8))
    assert told == ["class-0", right, "class-0", worst, "is class-1", "class-0", second, "is class-1"]


def test_the_mean_image_can_be_what_images_are_compared_with() -> None:
    caption = Attributions(baseline="mean").render(planted()).drawing.caption
    assert "which pixels make the difference from the mean test image" in caption


def test_a_square_larger_than_the_image_is_refused(images: Subject) -> None:
    with pytest.raises(StageError) as caught:
        Attributions(window=7).render(images)
    assert (caught.value.where, caught.value.found) == ("visualize, attributions.window", "7")
