"""The network that computes, against NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from scipy.special import expit, softmax

from nnpipe.errors import DataError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, load_network, save_document
from nnpipe.models.scaling import Scaling

DENSE = [
    {"kind": "dense", "units": 6, "activation": "tanh"},
    {"kind": "dense", "units": 5, "activation": "sigmoid"},
    {"kind": "dense", "units": 9, "activation": "relu", "init": "he_normal"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
CONVOLUTIONAL = [
    {"kind": "conv2d", "filters": 4, "kernel": [3, 5], "activation": "relu"},
    {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "same", "activation": "tanh"},
    {"kind": "max_pool2d", "size": 2},
    {"kind": "dropout", "rate": 0.25},
    {"kind": "flatten"},
    {"kind": "dense", "units": 1, "activation": "sigmoid"},
]


def network_of(layers: list[dict[str, Any]], shape: tuple[int, ...], seed: int = 0) -> Network:
    model = Model.model_validate({"layers": layers})
    classes = ["a", "b", "c"][: max(2, model.shapes(shape)[-1][0])]
    return Network(model, shape, Scaling(scale=2), classes, torch.Generator().manual_seed(seed)).eval()


def weights(network: Network) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_a_dense_network_computes_what_numpy_does() -> None:
    network, x = network_of(DENSE, (7,)), draw(9, 7)
    w, h = weights(network), x.numpy().astype(float)
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    for index, function in enumerate([np.tanh, expit, relu, lambda z: softmax(z, axis=1)]):
        h = function(h @ w[f"layers.{index}.weight"].T + w[f"layers.{index}.bias"])
    np.testing.assert_allclose(network(x).detach().numpy(), h, rtol=1e-5)


def test_a_convolution_computes_what_scipy_does() -> None:
    network, x = network_of(CONVOLUTIONAL, (2, 8, 9)), draw(3, 2, 8, 9)
    w, after = weights(network), [a.detach().numpy() for a in network.activations(x)]

    def convolve(images: np.ndarray, index: int, mode: str) -> np.ndarray:
        kernels, biases = w[f"layers.{index}.weight"], w[f"layers.{index}.bias"]
        maps = [
            [sum(correlate(c, k, mode) for c, k in zip(image, kernel, strict=True)) for kernel in kernels]
            for image in images.astype(float)
        ]
        return np.array(maps) + biases[:, None, None]

    first = np.maximum(convolve(x.numpy(), 0, "valid"), 0)
    second = np.tanh(convolve(first, 1, "same"))
    pooled = second[:, :, :6, :4].reshape(3, 3, 3, 2, 2, 2).max((3, 5))
    outputs = expit(pooled.reshape(3, -1) @ w["layers.5.weight"].T + w["layers.5.bias"])
    for found, expected in zip(after, [first, second, pooled, pooled, pooled.reshape(3, -1), outputs], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layers", "shape"), [(DENSE, (7,)), (CONVOLUTIONAL, (2, 8, 9))])
def test_a_network_that_was_saved_computes_the_same_bits(layers: list[dict[str, Any]], shape: tuple[int, ...]) -> None:
    network, x = network_of(layers, shape), draw(4, *shape)
    loaded = load_network({name: array.copy() for name, array in weights(network).items()}, save_document(network))
    assert not loaded.training
    assert loaded(x).detach().numpy().tobytes() == network(x).detach().numpy().tobytes()
    assert save_document(loaded) == save_document(network)
    assert torch.equal(network.activations(x)[-1], network(x))


def test_weights_of_another_model_are_refused() -> None:
    network = network_of(DENSE, (7,))
    with pytest.raises(DataError, match="not of this model"):
        load_network(weights(network_of(DENSE, (8,))), save_document(network))


@pytest.mark.parametrize(("layers", "shape"), [(DENSE, (7,)), (CONVOLUTIONAL, (2, 8, 9))])
def test_predictions_are_probabilities_of_every_class(layers: list[dict[str, Any]], shape: tuple[int, ...]) -> None:
    network = network_of(layers, shape)
    probabilities, labels = network.predict(9 * draw(50, *shape))
    assert probabilities.shape == (50, len(network.class_names))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
    assert torch.equal(labels, probabilities.argmax(1))
    assert len(labels.unique()) > 1


def test_dropout_leaves_out_the_fraction_it_says_and_keeps_the_mean() -> None:
    network = network_of([{"kind": "dropout", "rate": 0.3}], (1000,)).train()
    y = network(torch.ones(200, 1000))
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.005)
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert y.max().item() == pytest.approx(1 / 0.7)
    assert torch.equal(network.eval()(torch.ones(2, 1000)), torch.ones(2, 1000))


def test_gaussian_dropout_multiplies_by_normal_noise_of_the_same_mean_and_variance() -> None:
    network = network_of([{"kind": "dropout", "rate": 0.2, "noise": "gaussian"}], (1000,)).train()
    y = network(torch.full((200, 1000), 2.0))
    assert y.mean().item() == pytest.approx(2, abs=0.01)
    assert y.std().item() == pytest.approx(2 * 0.5, abs=0.01)  # sqrt(0.2 / 0.8)
    assert len(y.unique()) > 1000
    assert torch.equal(network.eval()(torch.ones(2, 1000)), torch.ones(2, 1000))


@pytest.mark.parametrize("noise", ["bernoulli", "gaussian"])
def test_dropout_draws_from_its_own_generator_alone(noise: str) -> None:
    x, masks = torch.ones(3, 50), []
    for seed in (0, 0, 1):
        torch.manual_seed(len(masks))
        state = torch.get_rng_state()
        masks.append(network_of([{"kind": "dropout", "rate": 0.5, "noise": noise}], (50,), seed).train()(x))
        assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_two_dropout_layers_draw_different_masks() -> None:
    network = network_of([{"kind": "dropout", "rate": 0.5}] * 2, (500,)).train()
    first, second = network.activations(torch.ones(1, 500))
    assert 0.2 < (second != 0).float().mean().item() < 0.3
    assert 0.45 < (first != 0).float().mean().item() < 0.55


def test_numbers_leave_a_network_in_the_units_of_the_data_and_come_back_with_its_document() -> None:
    model = Model.model_validate({"layers": [{"kind": "dense", "units": 2}]})
    scaling = Scaling(offset=(1.0, -2.0), scale=(10.0, 0.5))
    random = torch.Generator().manual_seed(0)
    network = Network(model, (3,), Scaling(), [], random, ["a", "b"], scaling).eval()
    again = load_network({name: t.numpy() for name, t in network.state_dict().items()}, save_document(network))
    assert (again.target_names, again.target_scaling, again.class_names) == (("a", "b"), scaling, ())
    x = torch.randn(4, 3, generator=random)
    with torch.no_grad():
        np.testing.assert_allclose(again.estimate(x), network(x).numpy() * [10, 0.5] + [1, -2], rtol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_linear_outputs_are_margins_and_the_largest_decides(outputs: int) -> None:
    network = network_of([{"kind": "dense", "units": outputs}], (2,))
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        margins, classes = network.predict(x)
        z = network(x)
    expected = torch.cat([-z, z], 1) if outputs == 1 else z
    torch.testing.assert_close(margins, expected)
    assert classes.tolist() == margins.argmax(1).tolist()
