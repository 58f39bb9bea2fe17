"""What makes training fast changes no result: each path beside the plain one, written with ordinary torch.

A convolutional network has its channels last in memory, its rectifiers behind its pooling and a fused optimizer always;
bytes are scaled when a batch is taken. The plain loops here have none of that: ``nn.Sequential``, numbers scaled
beforehand, optimizers that step one tensor after the other, and of the package only the order of examples.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.errors import Interrupted
from nnpipe.models.architecture import Model
from nnpipe.models.layers.dense import Dense
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.pipeline.allocator import keep_freed_memory
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.method import Method
from nnpipe.pretraining.objective import SAMPLES, LayerObjective, Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.classification import Classification
from nnpipe.training.examples import Examples
from nnpipe.training.file_examples import FileExamples
from nnpipe.training.loop import ORDER, fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.rmsprop import RmsProp
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime
from nnpipe.training.seeds import generator

SEED, BATCH = 5, 32
COUNT = 300  # of examples: the last batch of an epoch is a small one
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
CONVNET: list[Any] = [  # the lecture's, made small
    {"kind": "conv2d", "filters": 6, "kernel": 3, "activation": "relu"},
    {"kind": "conv2d", "filters": 6, "kernel": 3, "activation": "relu"},
    {"kind": "max_pool2d", "size": 2},
    "flatten",
    {"kind": "dense", "units": 24, "activation": "relu"},
    {"kind": "dense", "units": 10, "activation": "softmax"},
]
DENSE: list[Any] = [
    {"kind": "dense", "units": 40, "activation": "sigmoid"},
    {"kind": "dense", "units": 20, "activation": "tanh"},
    {"kind": "dense", "units": 10, "activation": "softmax"},
]


class Stored:
    """An array as if it lay in a file."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.values[rows]


def digits(start: int, stop: int) -> tuple[np.ndarray, Tensor]:
    """Bytes from 0 to 16, (n, 1, 8, 8), and classes."""
    found = load_digits()
    return found.images[start:stop, None].astype(np.uint8), torch.from_numpy(found.target[start:stop]).long()


def in_memory(start: int = 0, stop: int = COUNT) -> Examples:
    x, y = digits(start, stop)
    return Examples(torch.from_numpy(x), y, Scaling(scale=16))


def in_file(start: int = 0, stop: int = COUNT) -> Examples:
    x, y = digits(start, stop)
    return FileExamples(Stored(x), y, Scaling(scale=16), "cpu", memory=20 * BATCH * 64)  # six batches at a time


def numbers() -> tuple[Tensor, Tensor]:
    x, y = digits(0, COUNT)
    return torch.from_numpy(x / np.float32(16)), y


def batches(epoch: int = 1) -> Iterator[Tensor]:
    """The numbers of the examples of each batch; their order is part of a spec, not of its speed."""
    yield from torch.randperm(COUNT, generator=generator(SEED, ORDER, epoch)).split(BATCH)  # type: ignore[no-untyped-call]


def network(layers: list[Any], seed: int = 0) -> Network:
    names = [str(digit) for digit in range(10)]
    return Network(
        Model.model_validate({"layers": layers}), (1, 8, 8), Scaling(), names, torch.Generator().manual_seed(seed)
    )


def learn(
    made: Network,
    optimizer: Optimizer,
    data: Examples,
    watch: Any,
    precision: Precision = "float32",
    epochs: int = 1,
) -> list[Tensor]:
    """The weights after some epochs of the package's own training."""
    objective = Classification(made, CrossEntropy(), precision)
    steps = optimizer.build(made.parameters())
    fit(objective, steps, data, None, Regime(epochs, BATCH), seed=SEED, watch=watch)
    return [parameter.detach() for parameter in made.parameters()]


def plain(layers: list[Any]) -> nn.Sequential:
    if layers is DENSE:
        body = (nn.Flatten(), nn.Linear(64, 40), nn.Sigmoid(), nn.Linear(40, 20), nn.Tanh(), nn.Linear(20, 10))
    else:
        body = (
            nn.Conv2d(1, 6, 3),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 24),
            nn.ReLU(),
            nn.Linear(24, 10),
        )  # type: ignore[assignment]
    made = nn.Sequential(*body)
    with torch.no_grad():
        for own, given in zip(made.parameters(), network(layers).parameters(), strict=True):
            own.copy_(given)
    return made


STEPS: list[tuple[Optimizer, Callable[..., torch.optim.Optimizer], dict[str, Any]]] = [
    (Sgd(learning_rate=0.1, momentum=0.9), torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (Adam(), torch.optim.Adam, {"lr": 0.001, "eps": 1e-7, "fused": False}),
    (AdamW(weight_decay=0.01), torch.optim.AdamW, {"lr": 0.001, "eps": 1e-8, "weight_decay": 0.01, "fused": False}),
    (RmsProp(), torch.optim.RMSprop, {"lr": 0.001, "alpha": 0.9, "eps": 1e-7}),
]


@pytest.mark.parametrize(("optimizer", "theirs", "options"), STEPS, ids=[one.kind for one, *_ in STEPS])
@pytest.mark.parametrize("layers", [CONVNET, DENSE], ids=["convnet", "dense"])
def test_an_epoch_ends_where_a_plain_loop_ends_from_memory_and_from_a_file(
    layers: list[Any], optimizer: Optimizer, theirs: Any, options: dict[str, Any], watch: Any
) -> None:
    made, (x, y) = plain(layers), numbers()
    first = [parameter.detach().clone() for parameter in made.parameters()]
    steps = theirs(made.parameters(), foreach=False, **options)
    for rows in batches():
        steps.zero_grad()
        F.cross_entropy(made(x[rows]), y[rows]).backward()
        steps.step()
    expected = [parameter.detach() for parameter in made.parameters()]
    assert all(float((a - b).abs().max()) > 1e-3 for a, b in zip(first, expected, strict=True))
    for data in (in_memory(), in_file()):
        found = learn(network(layers), optimizer, data, watch())
        torch.testing.assert_close(found, expected, **CLOSE)


def test_memory_that_the_allocator_keeps_changes_no_bit(watch: Any) -> None:
    before = learn(network(CONVNET), Adam(), in_memory(), watch())
    keep_freed_memory()  # for good, as every run does
    after = learn(network(CONVNET), Adam(), in_memory(), watch())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


# -- layers that learn alone ---------------------------------------------------------------------------------


def layer(method: Method, watch: Any, data: Examples, first: bool = False) -> dict[str, Tensor]:
    """The tensors of a layer after an epoch, or its first ones."""
    x = numbers()[0].flatten(1)
    seen = Visible((64,), x.mean(0), x.std(0), count=COUNT)
    objective: LayerObjective = method.objective(Dense(units=30, activation="sigmoid"), None, seen, SEED)
    if not first:
        steps = Sgd(learning_rate=0.1, momentum=0.5).build(objective.module.parameters())
        fit(objective, steps, data, None, Regime(1, BATCH), seed=SEED, watch=watch)
    return {name: parameter.detach().clone() for name, parameter in objective.module.named_parameters()}


@pytest.mark.parametrize("data", [in_memory, in_file], ids=["memory", "file"])
def test_an_rbm_learns_as_the_formulas_of_contrastive_divergence_say(data: Any, watch: Any) -> None:
    """Hinton 2010, sections 2 and 3: hidden states are sampled once, all else are probabilities."""
    method = Rbm(weight_decay=0.001)
    found, started = layer(method, watch(), data()), layer(method, watch(), data(), first=True)
    w, b, c = (started[name].double() for name in ("weight", "bias", "visible_bias"))
    draws, x = generator(SEED, SAMPLES), numbers()[0].flatten(1)
    speeds = [torch.zeros_like(each) for each in (w, b, c)]
    for rows in batches():
        v = x[rows].double()
        h = 1 / (1 + torch.exp(-(v @ w.T + b)))
        states = (torch.rand(h.shape, generator=draws) < h).double()
        again = 1 / (1 + torch.exp(-(states @ w + c)))
        h_again = 1 / (1 + torch.exp(-(again @ w.T + b)))
        rises = [
            torch.einsum("ij,ik->jk", h, v) / len(v) - torch.einsum("ij,ik->jk", h_again, again) / len(v) - 0.001 * w,
            (h - h_again).mean(0),
            (v - again).mean(0),
        ]
        speeds = [0.5 * speed + rise for speed, rise in zip(speeds, rises, strict=True)]
        w, b, c = (value + 0.1 * speed for value, speed in zip((w, b, c), speeds, strict=True))
    for name, expected in {"weight": w, "bias": b, "visible_bias": c}.items():
        torch.testing.assert_close(found[name].double(), expected, **CLOSE)
    assert float((found["weight"] - started["weight"]).abs().max()) > 1e-2


@pytest.mark.parametrize("data", [in_memory, in_file], ids=["memory", "file"])
def test_a_denoising_autoencoder_learns_as_a_plain_loop_does(data: Any, watch: Any) -> None:
    """Vincent et al. 2010, section 3: inputs set to 0, tied weights, the cross-entropy of all values."""
    method = Autoencoder(level=0.3)
    found, started = layer(method, watch(), data()), layer(method, watch(), data(), first=True)
    encoder, visible_bias = nn.Linear(64, 30), nn.Parameter(started["visible_bias"].clone())
    with torch.no_grad():
        encoder.weight.copy_(started["weight"])
        encoder.bias.copy_(started["bias"])
    steps = torch.optim.SGD([*encoder.parameters(), visible_bias], lr=0.1, momentum=0.5, foreach=False)
    draws, x = generator(SEED, SAMPLES), numbers()[0].flatten(1)
    for rows in batches():
        clean = x[rows]
        corrupted = torch.where(torch.rand(clean.shape, generator=draws) < 0.3, 0.0, clean)
        decoded = torch.sigmoid(torch.sigmoid(encoder(corrupted)) @ encoder.weight + visible_bias)
        steps.zero_grad()
        (F.binary_cross_entropy(decoded, clean, reduction="none").sum(1).mean()).backward()
        steps.step()
    expected = {"weight": encoder.weight, "bias": encoder.bias, "visible_bias": visible_bias}
    for name, parameter in expected.items():
        torch.testing.assert_close(found[name], parameter.detach(), **CLOSE)
    assert float((found["weight"] - started["weight"]).abs().max()) > 1e-2


# -- bfloat16 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [CONVNET, DENSE], ids=["convnet", "dense"])
def test_in_bfloat16_accuracy_is_the_same_within_the_spread_over_seeds(layers: list[Any], watch: Any) -> None:
    held_out = in_memory(1000, 1797)
    x, y = held_out.rows(0, len(held_out))
    assert y is not None
    accuracy: dict[Precision, list[float]] = {"float32": [], "bfloat16": []}
    weights: dict[Precision, Tensor] = {}
    for seed in range(5):
        for precision, found in accuracy.items():
            made = network(layers, seed)
            learnt = learn(made, Adam(learning_rate=0.01), in_memory(0, 600), watch(), precision, epochs=4)
            weights[precision] = torch.cat([each.flatten() for each in learnt])
            with torch.inference_mode():
                found.append((made.predict(x)[1] == y).double().mean().item())
        assert float((weights["bfloat16"] - weights["float32"]).abs().max()) > 1e-3  # it was another way to learn
    spread = statistics.stdev(accuracy["float32"])
    assert statistics.mean(accuracy["float32"]) > 0.8
    assert 0.001 < spread < 0.05
    assert abs(statistics.mean(accuracy["bfloat16"]) - statistics.mean(accuracy["float32"])) < spread


@pytest.mark.parametrize("data", [in_memory, in_file], ids=["memory", "file"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_fit_that_was_interrupted_goes_on_to_the_same_bits(data: Any, precision: Precision, watch: Any) -> None:
    layers = [*CONVNET[:4], {"kind": "dropout", "rate": 0.2}, *CONVNET[4:]]

    def bits(seen: Any, seed: int = 0) -> list[bytes]:
        weights = learn(network(layers, seed), Adam(), data(), seen, precision, epochs=2)
        return [weight.numpy().tobytes() for weight in weights]

    whole, stopped = bits(watch()), watch(stop_at=13)  # in the middle of the second epoch
    with pytest.raises(Interrupted):
        bits(stopped)
    assert len(stopped.records) == 1
    assert bits(watch(states=stopped.states), seed=99) == whole
