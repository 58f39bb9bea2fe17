"""What autoencoders pay for beside their reconstructions: being active, and changing with their input."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_digits
from torch.func import jacrev, vmap

from nnpipe.models.activations import ActivationName
from nnpipe.models.encoder_decoder import encoder_decoder
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.activity_penalty import ActivityPenalty
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.contraction import squared_jacobian
from nnpipe.pretraining.denoising import Denoising
from nnpipe.pretraining.objective import Visible

ELEMENTWISE = [name for name in get_args(ActivationName) if name != "softmax"]
LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (Dense, (7,)),
    "valid": (Conv2d, (2, 6, 5)),
    "same": (Conv2d, (2, 5, 4)),
    "strided": (Conv2d, (2, 7, 6)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dense": {"units": 4},
    "valid": {"filters": 3, "kernel": [3, 2]},
    "same": {"filters": 3, "kernel": 3, "padding": "same", "dilation": [1, 2]},
    "strided": {"filters": 4, "kernel": 3, "stride": [2, 3], "groups": 2},
}


def layer_of(name: str, activation: str) -> tuple[Any, tuple[int, ...]]:
    kind, shape = LAYERS[name]
    return kind.model_validate({**OPTIONS[name], "activation": activation}), shape


def inputs(shape: tuple[int, ...], count: int = 3) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(5).random((count, *shape)))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_closed_form_is_the_squared_norm_of_the_jacobian(activation: Any, name: str) -> None:
    layer, shape = layer_of(name, activation)
    module = encoder_decoder(layer, shape, tied=True, generator=torch.Generator().manual_seed(0)).double()
    x = inputs(shape) * 4 - 2
    sums = module.sums(x)
    found = squared_jacobian(module, activation, sums, module.activation(sums))
    jacobians = vmap(jacrev(lambda one: module.encode(one[None])[0]))(x)
    torch.testing.assert_close(found, jacobians.square().sum())


def objective_of(name: str, activation: str = "sigmoid", **options: Any) -> Denoising:
    layer, shape = layer_of(name, activation)
    values = int(np.prod(shape))
    seen = Visible(shape, torch.linspace(0.2, 0.8, values), torch.ones(values))
    method = Autoencoder.model_validate({"level": 0, **options})
    objective = method.objective(layer, None, seen, seed=0)
    objective.module.double()
    return objective


PENALISED: list[dict[str, Any]] = [
    {},
    {"tied": False},
    {"loss": "mean_squared_error", "tied": False},
    {"contraction": 0.5},
    {"contraction": 0.5, "loss": "mean_squared_error", "tied": False},
    {"sparsity": {"weight": 2, "target": 0.1}},
    {"sparsity": {"weight": 0.3, "penalty": "l1"}},
    {"sparsity": {"weight": 2}, "contraction": 0.2},
]


@pytest.mark.parametrize("options", PENALISED, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_agree_with_finite_differences_of_the_loss_that_is_measured(
    name: str, options: dict[str, Any]
) -> None:
    objective, x = objective_of(name, **options), inputs(LAYERS[name][1], 5)
    measured = objective.gradient(x, None)["loss"]
    assert measured.item() == pytest.approx(objective.measure(x, None)["loss"].item(), rel=1e-12)
    for parameter in objective.module.parameters():
        assert parameter.grad is not None
        flat, found, step = parameter.data.view(-1), parameter.grad.reshape(-1).clone(), 1e-5
        for index in range(0, len(flat), 3):
            value, losses = float(flat[index]), []
            for change in (step, -step):
                flat[index] = value + change
                losses.append(objective.measure(x, None)["loss"].item() / len(x))
            flat[index] = value
            assert found[index].item() == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "elu", "gelu", "softsign"])
def test_contraction_reaches_the_weights_through_the_slopes_of_every_smooth_activation(activation: str) -> None:
    objective = objective_of("dense", activation, contraction=0.5, loss="mean_squared_error")
    x, module = inputs((7,)), objective.module

    def loss(weight: torch.Tensor) -> torch.Tensor:
        module.weight.data = weight
        return objective.measure(x, None)["loss"] / len(x)

    weight, step = module.weight.detach().clone(), 1e-5
    objective.gradient(x, None)
    assert module.weight.grad is not None
    found = module.weight.grad.clone()
    for unit, place in ((0, 0), (3, 6), (2, 3)):
        change = torch.zeros_like(weight)
        change[unit, place] = step
        slope = (loss(weight + change) - loss(weight - change)) / (2 * step)
        assert found[unit, place].item() == pytest.approx(slope.item(), rel=1e-5)


def test_the_divergence_is_that_of_two_coins_summed_over_units() -> None:
    hidden = torch.tensor([[0.1, 0.5], [0.3, 0.7]], dtype=torch.float64)  # means 0.2 and 0.6
    expected = sum(0.05 * np.log(0.05 / mean) + 0.95 * np.log(0.95 / (1 - mean)) for mean in (0.2, 0.6))
    assert ActivityPenalty(weight=3).cost(hidden).item() == pytest.approx(2 * 3 * expected)
    assert ActivityPenalty(weight=3, penalty="l1").cost(hidden).item() == pytest.approx(3 * 1.6)


def test_a_filter_is_one_unit_whose_mean_is_over_places_too() -> None:
    maps = torch.rand(4, 3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vectors = maps.transpose(1, 3).flatten(0, 2)  # every place an example
    found = ActivityPenalty(weight=1).cost(maps) / len(maps)
    torch.testing.assert_close(found, ActivityPenalty(weight=1).cost(vectors) / len(vectors))


def test_units_that_are_never_or_always_active_cost_a_finite_number() -> None:
    assert ActivityPenalty(weight=1).cost(torch.tensor([[0.0, 1.0]])).isfinite()


def digits_learnt(**options: Any) -> tuple[Denoising, torch.Tensor]:
    """An autoencoder, and the digits that it learnt from."""
    data = torch.tensor(load_digits().data[:300] / 16, dtype=torch.float32)
    method = Autoencoder.model_validate({"level": 0, **options})
    objective = method.objective(
        Dense.model_validate({"units": 30, "activation": "sigmoid"}), None, Visible((64,), data.mean(0), data.std(0)), 0
    )
    optimizer = torch.optim.Adam(objective.module.parameters(), lr=0.01)
    for _ in range(100):
        objective.gradient(data, None)
        optimizer.step()
    return objective, data


def test_sparse_units_of_digits_are_about_as_rarely_active_as_was_asked_for() -> None:
    activity = []
    for options in ({}, {"sparsity": {"weight": 3, "target": 0.1}}):
        objective, data = digits_learnt(**options)
        activity.append(objective.represent(data).mean(0))
    assert (activity[0] - 0.1).abs().mean() > 0.2
    assert (activity[1] - 0.1).abs().mean() < 0.05


def test_contractive_units_of_digits_change_less_with_their_input() -> None:
    norms = []
    for options in ({}, {"contraction": 1.0}):
        objective, data = digits_learnt(**options)
        sums = objective.module.sums(data)
        norms.append(squared_jacobian(objective.module, "sigmoid", sums, sums.sigmoid()).item())
    assert norms[1] < norms[0] / 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": {"penalty": "l1", "weight": 1, "target": 0.1}}, "has no target"),
        ({"sparsity": {"target": 0.1}}, "Field required"),
        ({"sparsity": {"weight": 1, "target": 1}}, "less than 1"),
        ({"contraction": -1}, "greater than or equal to 0"),
        ({"emphasis": {}, "corruption": "gaussian"}, "here all are alike"),
        ({"emphasis": {}, "level": 0}, "here all are alike"),
        ({"emphasis": {"corrupted": 0, "uncorrupted": 0}}, "an emphasis on nothing"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Autoencoder.model_validate(options)
