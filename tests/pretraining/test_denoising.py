from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.denoising import Denoising
from nnpipe.pretraining.objective import Visible

HALF = torch.full((6,), 0.5)


def denoising(mean: torch.Tensor = HALF, units: int = 4, activation: str = "sigmoid", **options: Any) -> Denoising:
    layer = Dense.model_validate({"units": units, "activation": activation})
    method = Autoencoder.model_validate(options)
    return method.objective(layer, None, Visible(mean.shape, mean, torch.ones_like(mean)), seed=0)


def loss_in_numpy(objective: Denoising, x: np.ndarray, activation: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean over rows of the loss summed over units, in float64 from its definition."""
    tensors = {name: p.detach().numpy().astype(np.float64) for name, p in objective.module.named_parameters()}
    hidden = activation(x @ tensors["weight"].T + tensors["bias"])
    decoder = tensors.get("decoder_weight", tensors["weight"].T)
    z = hidden @ decoder.T + tensors["visible_bias"]
    if objective.method.loss == "mean_squared_error":
        return float(((z - x) ** 2).sum() / len(x))
    p = 1 / (1 + np.exp(-z))
    return float(-(x * np.log(p) + (1 - x) * np.log(1 - p)).sum() / len(x))


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_gradients_are_those_of_finite_differences(tied: bool, loss: str) -> None:
    objective = denoising(torch.linspace(0.2, 0.8, 6), activation="tanh", level=0, tied=tied, loss=loss)
    objective.module.double()
    x = np.random.default_rng(0).random((7, 6))
    measured = objective.gradient(torch.tensor(x), None)
    assert float(measured["loss"]) / len(x) == pytest.approx(loss_in_numpy(objective, x, np.tanh))
    names = set()
    for name, parameter in objective.module.named_parameters():
        assert parameter.grad is not None
        flat, found, step = parameter.data.view(-1), parameter.grad.reshape(-1), 1e-6
        for index in range(0, len(flat), 5):
            value = float(flat[index])
            flat[index] = value + step
            above = loss_in_numpy(objective, x, np.tanh)
            flat[index] = value - step
            below = loss_in_numpy(objective, x, np.tanh)
            flat[index] = value
            assert float(found[index]) == pytest.approx((above - below) / (2 * step), abs=1e-6)
        names.add(name)
    assert names == {"weight", "bias", "visible_bias"} | (set() if tied else {"decoder_weight"})


def test_the_gradient_is_of_the_clean_input_s_loss_from_the_corrupted_one() -> None:
    objective, same = denoising(), denoising()
    x = torch.tensor(np.random.default_rng(0).random((20, 6)), dtype=torch.float32)
    corrupted, _ = same.corrupt(x)
    decoded = same.module.decode(same.module.encode(corrupted)).sigmoid()
    expected = torch.nn.functional.binary_cross_entropy(decoded, x, reduction="sum")
    assert objective.gradient(x, None)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert not corrupted.equal(x)


def test_masking_zeroes_a_fraction_and_leaves_the_rest() -> None:
    x = torch.full((1000, 100), 0.6)
    seen, chosen = denoising(level=0.3).corrupt(x)
    assert set(seen.unique().tolist()) == {0.0, x[0, 0].item()}
    assert (seen == 0).float().mean().item() == pytest.approx(0.3, abs=0.006)
    assert (seen == 0).equal(chosen)


def test_salt_and_pepper_are_equally_many() -> None:
    seen, _ = denoising(corruption="salt_and_pepper", level=0.4).corrupt(torch.full((1000, 100), 0.5))
    counts = {value: (seen == value).float().mean().item() for value in (0.0, 0.5, 1.0)}
    assert counts == pytest.approx({0.0: 0.2, 0.5: 0.6, 1.0: 0.2}, abs=0.006)


def test_gaussian_corruption_has_the_level_as_its_standard_deviation() -> None:
    seen, chosen = denoising(corruption="gaussian", level=0.2).corrupt(torch.full((1000, 100), 0.5))
    change = seen - 0.5
    assert chosen is None
    assert change.std().item() == pytest.approx(0.2, rel=0.02)
    assert change.mean().item() == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper"])
def test_emphasis_weighs_corrupted_values_apart_from_others(corruption: str, loss: str) -> None:
    options = {"corruption": corruption, "loss": loss, "level": 0.4}
    objective, same = denoising(**options, emphasis={"corrupted": 3, "uncorrupted": 0.5}), denoising(**options)
    x = torch.tensor(np.random.default_rng(0).random((20, 6)), dtype=torch.float32)
    seen, chosen = same.corrupt(x)
    assert chosen is not None
    decoded = same.module.decode(same.module.encode(seen)).detach().double().numpy()
    target, counts = x.double().numpy(), np.where(chosen.numpy(), 3, 0.5)
    p = 1 / (1 + np.exp(-decoded))
    squares = ((p if loss == "cross_entropy" else decoded) - target) ** 2
    each = -(target * np.log(p) + (1 - target) * np.log(1 - p)) if loss == "cross_entropy" else squares
    measured = objective.gradient(x, None)
    assert measured["loss"].item() == pytest.approx((counts * each).sum(), rel=1e-5)
    assert measured["reconstruction_error"].item() == pytest.approx(squares.sum(), rel=1e-5)
    # Nothing is corrupted where nothing is learnt, and all values count alike.
    assert objective.measure(x, None)["loss"].equal(same.measure(x, None)["loss"])


def test_with_full_emphasis_what_was_left_as_it_is_has_no_gradient() -> None:
    objective = denoising(emphasis={"uncorrupted": 0}, level=0.3)
    x = torch.full((1, 6), 0.5)
    _, chosen = denoising(level=0.3).corrupt(x)
    assert chosen is not None
    assert 0 < int(chosen.sum()) < 6
    objective.module.visible_bias.data.fill_(1)  # away from the data's log-odds, where the gradient is zero
    objective.gradient(x, None)
    gradient = objective.module.visible_bias.grad
    assert gradient is not None
    assert gradient.ne(0).equal(chosen[0])


def test_corruption_draws_from_its_own_generator_and_only_while_learning() -> None:
    objective, x = denoising(), torch.full((8, 6), 0.5)
    state, global_state = objective.generators["samples"].get_state(), torch.get_rng_state()
    objective.measure(x, None)
    objective.represent(x)
    assert objective.generators["samples"].get_state().equal(state)
    objective.gradient(x, None)
    assert not objective.generators["samples"].get_state().equal(state)
    assert torch.get_rng_state().equal(global_state)


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_the_decoder_gives_the_mean_while_hidden_units_say_nothing(loss: str) -> None:
    mean = torch.linspace(0.2, 0.8, 6)
    objective = denoising(mean, loss=loss, activation="tanh")
    decoded = objective.module.decode(torch.zeros(1, 4))[0]
    torch.testing.assert_close(decoded.sigmoid() if loss == "cross_entropy" else decoded, mean)


def test_a_linear_tied_autoencoder_finds_the_principal_subspace() -> None:
    x = load_digits().data[:300] / 16
    pca = PCA(8).fit(x)
    best = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1).mean()
    data = torch.tensor(x, dtype=torch.float32)
    objective = denoising(data.mean(0), 8, "linear", level=0, loss="mean_squared_error")
    optimizer = torch.optim.Adam(objective.module.parameters(), lr=0.02)
    for update in range(600):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - update / 600)
        objective.gradient(data, None)
        optimizer.step()
    error = objective.measure(data, None)["reconstruction_error"].item() / len(x)
    assert best - 1e-4 < error < 1.002 * best


def test_a_linear_convolutional_autoencoder_finds_the_principal_subspace_of_its_patches() -> None:
    """Kernels side by side read patches apart, so that the best reconstruction is that of PCA of the patches."""
    images = load_digits().images[:300, None] / 16
    patches = images.reshape(300, 2, 4, 2, 4).transpose(0, 1, 3, 2, 4).reshape(-1, 16)
    patches -= patches.mean(0)  # a channel has one bias for all places
    pca = PCA(3).fit(patches)
    best = ((patches - pca.inverse_transform(pca.transform(patches))) ** 2).sum() / 300
    centred = patches.reshape(300, 2, 2, 4, 4).transpose(0, 1, 3, 2, 4).reshape(300, 1, 8, 8)
    data = torch.tensor(centred, dtype=torch.float32)
    layer = Conv2d.model_validate({"filters": 3, "kernel": 4, "stride": 4, "activation": "linear"})
    seen = Visible((1, 8, 8), data.mean(0).flatten(), data.std(0).flatten())
    objective = Autoencoder(level=0, loss="mean_squared_error").objective(layer, None, seen, seed=0)
    optimizer = torch.optim.Adam(objective.module.parameters(), lr=0.02)
    for update in range(400):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - update / 400)
        objective.gradient(data, None)
        optimizer.step()
    error = objective.measure(data, None)["reconstruction_error"].item() / 300
    assert best - 1e-4 < error < 1.002 * best
    projections = [basis.T @ basis for basis in (pca.components_, objective.module.weight.detach().flatten(1).numpy())]
    np.testing.assert_allclose(projections[1], projections[0], atol=0.02)


def test_a_convolution_s_decoder_gives_each_channel_s_mean_while_hidden_units_say_nothing() -> None:
    mean = torch.linspace(0.2, 0.8, 18)
    layer = Conv2d.model_validate({"filters": 3, "kernel": 2, "activation": "tanh"})
    objective = Autoencoder().objective(layer, None, Visible((2, 3, 3), mean, mean), seed=0)
    decoded = objective.module.decode(torch.zeros(1, 3, 2, 2))[0].sigmoid()
    torch.testing.assert_close(decoded, mean.view(2, 9).mean(1)[:, None, None].expand(2, 3, 3))
