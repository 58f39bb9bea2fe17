"""The kinds of units: what they draw, against what they say they draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from nnpipe.models.activations import ActivationName, activation_function
from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.pretraining.units.doubled import DoubledHidden, DoubledVisible
from nnpipe.pretraining.units.gaussian import Gaussian
from nnpipe.pretraining.units.rectified import Rectified
from nnpipe.pretraining.units.softmax import Softmax
from nnpipe.pretraining.units.units import Units

X = torch.tensor([-6.0, -1.0, 0.0, 0.5, 3.0])
LOG_VARIANCE = torch.nn.Parameter(torch.tensor([0.0, 1.0, -1.0, 0.5, 0.0]), requires_grad=False)
KINDS = {
    "bernoulli": Bernoulli(),
    "gaussian": Gaussian(),
    "scaled": Gaussian(LOG_VARIANCE),
    "rectified": Rectified(),
    "softmax": Softmax(),
    "doubled hidden": DoubledHidden(),
    "doubled visible": DoubledVisible(),
}
CLOSED = [name for name, units in KINDS.items() if units.closed_form]


def drawn(units: Units, rows: int = 200_000) -> np.ndarray:
    return units.sample(X.expand(rows, -1), torch.Generator().manual_seed(0)).double().numpy()


@pytest.mark.parametrize("units", KINDS.values(), ids=KINDS.keys())
def test_samples_have_the_mean_that_units_say(units: Units) -> None:
    samples = drawn(units)
    error = samples.std(0) / np.sqrt(len(samples))
    mean = units.mean(X[None])[0].numpy()
    assert (np.abs(samples.mean(0) - mean) < 4 * error + 1e-4).all()


@pytest.mark.parametrize("units", KINDS.values(), ids=KINDS.keys())
def test_a_known_mean_draws_what_an_unknown_one_does(units: Units) -> None:
    one = units.sample(X[None], torch.Generator().manual_seed(3))
    again = units.sample(X[None], torch.Generator().manual_seed(3), units.mean(X[None]))
    torch.testing.assert_close(one, again)


@pytest.mark.parametrize("name", CLOSED)
def test_the_mean_is_the_slope_of_the_log_partition(name: str) -> None:
    x = X[None].double().requires_grad_()
    KINDS[name].log_partition(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, KINDS[name].mean(x.detach()))


@pytest.mark.parametrize("name", CLOSED)
def test_units_that_hear_nothing_have_the_means_that_their_first_biases_are_for(name: str) -> None:
    mean = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    units = KINDS[name]
    torch.testing.assert_close(units.mean(units.natural(units.first_bias(mean))[None])[0], mean)


@pytest.mark.parametrize(
    ("activation", "name"),
    [("sigmoid", "bernoulli"), ("linear", "gaussian"), ("relu", "rectified"), ("softmax", "softmax")],
)
def test_the_response_is_the_activation_of_a_network_s_layer(activation: ActivationName, name: str) -> None:
    torch.testing.assert_close(KINDS[name].response(X[None]), activation_function(activation)(X[None]))


def test_gaussian_noise_has_the_variance_of_the_unit() -> None:
    samples = drawn(KINDS["scaled"])
    np.testing.assert_allclose(samples.var(0), LOG_VARIANCE.exp().numpy(), rtol=0.02)


def test_of_a_softmax_group_exactly_one_unit_is_on() -> None:
    samples = drawn(Softmax(), 1000)
    assert set(np.unique(samples)) == {0.0, 1.0}
    assert (samples.sum(1) == 1).all()


def test_the_mean_of_rectified_units_is_that_of_a_normal_variable_cut_off_at_zero() -> None:
    found = Rectified().mean(X[None].double())[0].numpy()
    for x, mean in zip(X.tolist(), found, strict=True):
        density = stats.norm(x, np.sqrt(1 / (1 + np.exp(-x)))).pdf
        expected, _ = integrate.quad(lambda s, density=density: s * density(s), 0, 20, epsabs=1e-12)
        assert mean == pytest.approx(expected, abs=1e-9)
    extremes = Rectified().mean(torch.tensor([[-200.0, 200.0]]))
    assert extremes.tolist() == [[0.0, 200.0]]


def test_rectified_units_stand_for_many_binary_units_with_shifted_biases() -> None:
    """Nair & Hinton 2010, section 2: the sum of the units' probabilities, which is nearly log(1 + exp(x))."""
    copies = 1 / (1 + np.exp(-(X.double().numpy()[:, None] - np.arange(1, 400) + 0.5)))
    np.testing.assert_allclose(copies.sum(1), np.log1p(np.exp(X.double().numpy())), atol=0.015)
    np.testing.assert_allclose(Rectified().mean(X[None].double())[0].numpy(), copies.sum(1), atol=0.45)


def test_rectified_units_say_that_they_have_no_energy() -> None:
    units = Rectified()
    assert not units.closed_form
    with pytest.raises(ValueError, match="closed form"):
        units.log_partition(X[None])
    with pytest.raises(ValueError, match="no simple energy"):
        units.log_base(X[None])
