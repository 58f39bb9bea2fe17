"""Networks whose weights have no symmetry that could hide a wrong order, and the files they are exported to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.exporters import every_exporter
from nnpipe.exporters.exporter import Context, Exporter
from nnpipe.exporters.model_card import model_card
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

IMAGE, VECTOR = (1, 10, 12), (6,)
EVERY = every_exporter()
CONVOLUTION = {"kind": "conv2d", "filters": 4, "kernel": 3, "padding": "same", "activation": "softplus"}
ARCHITECTURES: dict[str, tuple[tuple[int, ...], list[Any]]] = {
    # The lecture's, smaller.
    "convnet": (
        IMAGE,
        [
            {"kind": "conv2d", "filters": 4, "kernel": [3, 5], "activation": "relu"},
            {"kind": "conv2d", "filters": 6, "kernel": 3, "activation": "relu"},
            {"kind": "max_pool2d", "size": 2},
            {"kind": "flatten"},
            {"kind": "dense", "units": 16, "activation": "relu"},
            {"kind": "dense", "units": 5, "activation": "softmax"},
        ],
    ),
    # Every option of every layer; dropout between flatten and dense; three colours.
    "options": (
        (3, 11, 9),
        [
            {"kind": "dropout", "rate": 0.1},
            {"kind": "conv2d", "filters": 4, "kernel": [3, 5], "padding": "same", "activation": "tanh"},
            {"kind": "max_pool2d", "size": [3, 2], "stride": [2, 1]},
            {"kind": "conv2d", "filters": 5, "kernel": 2, "stride": [1, 2], "activation": "softmax"},
            {"kind": "flatten"},
            {"kind": "dropout", "rate": 0.5},
            {"kind": "dense", "units": 7},
            {"kind": "dense", "units": 3, "activation": "sigmoid"},
        ],
    ),
    # Images read by a dense layer as they come.
    "vectors_of_images": (
        (2, 4, 3),
        [
            {"kind": "dense", "units": 8, "activation": "sigmoid"},
            {"kind": "dense", "units": 3, "activation": "softmax"},
        ],
    ),
    # Every layer there is but the user's own: images, then flattened images, then vectors.
    "every_layer": (
        (2, 12, 11),
        [
            {"kind": "conv2d", "filters": 6, "kernel": [3, 2], "groups": 2, "activation": "leaky_relu"},
            {"kind": "batch_norm", "momentum": 0.9, "epsilon": 0.01},
            {"kind": "activation", "activation": "elu"},
            {"kind": "conv2d", "filters": 4, "kernel": 3, "dilation": [2, 1], "padding": "same"},
            {"kind": "residual", "layers": [CONVOLUTION, "batch_norm", {**CONVOLUTION, "activation": "linear"}]},
            {
                "kind": "residual",
                "activation": "relu",
                "layers": [
                    {**CONVOLUTION, "filters": 5},
                    {"kind": "residual", "layers": [{**CONVOLUTION, "filters": 3}], "activation": "leaky_relu"},
                    {"kind": "avg_pool2d", "size": 2},
                ],
            },
            {"kind": "max_pool2d", "size": 2, "stride": 1},
            "flatten",
            {"kind": "activation", "activation": "gelu"},
            {"kind": "batch_norm"},
            {"kind": "dropout", "rate": 0.3, "noise": "gaussian"},
            {"kind": "dense", "units": 7, "activation": "softsign"},
            {"kind": "residual", "layers": [{"kind": "dense", "units": 4, "activation": "tanh"}, "batch_norm"]},
            {"kind": "dense", "units": 3},
            {"kind": "activation", "activation": "softmax"},
        ],
    ),
    # Every way between images and vectors.
    "reshapes": (
        (24,),
        [
            {"kind": "reshape", "shape": [2, 3, 4]},
            {"kind": "conv2d", "filters": 3, "kernel": 2, "activation": "tanh"},
            {"kind": "reshape", "shape": [2, 3, 3]},
            "flatten",
            {"kind": "reshape", "shape": [3, 2, 3]},
            "flatten",
            {"kind": "residual", "layers": [{"kind": "dense", "units": 18, "activation": "softplus"}]},
            {"kind": "residual", "layers": [{"kind": "reshape", "shape": [3, 2, 3]}, "global_max_pool2d"]},
            {"kind": "dense", "units": 18, "activation": "tanh"},
            {"kind": "reshape", "shape": [3, 2, 3]},
            {
                "kind": "residual",
                "layers": [
                    {"kind": "conv2d", "filters": 3, "kernel": [1, 3], "padding": "same", "activation": "sigmoid"},
                    {"kind": "reshape", "shape": [18]},
                    {"kind": "reshape", "shape": [3, 2, 3]},
                ],
            },
            "global_average_pool2d",
            {"kind": "dense", "units": 3, "activation": "softmax"},
        ],
    ),
    "binary": (
        VECTOR,
        [
            {"kind": "dense", "units": 8, "activation": "sigmoid"},
            {"kind": "dense", "units": 8, "activation": "sigmoid"},
            {"kind": "dense", "units": 1, "activation": "sigmoid"},
        ],
    ),
}


def build(name: str) -> Network:
    """The network called ``name``, with weights as unlike each other as trained ones."""
    input_shape, layers = ARCHITECTURES[name]
    model = Model.model_validate({"layers": layers})
    outputs = model.shapes(input_shape)[-1][0]
    generator = torch.Generator().manual_seed(7)
    network = Network(
        model,
        input_shape,
        Scaling(offset=0.25, scale=255.0),
        [f"class {index}" for index in range(max(2, outputs))],
        generator,
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        for buffer in network.buffers():  # means and variances
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.3)
    return network.eval()


def context_of(network: Network) -> Context:
    """What a file of ``network`` is given beside it: its card, and 40 inputs to calibrate by."""
    x = np.random.default_rng(0).standard_normal((40, *network.input_shape), dtype=np.float32)
    return Context(model_card(network), x)


def assert_near(found: np.ndarray, expected: np.ndarray, exporter: Exporter) -> None:
    """Outputs of a file are its network's; with weights and activations of 8 bits they are so on average."""
    if exporter.exact:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    else:
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 0.02


@pytest.fixture(scope="session")
def networks() -> dict[str, Network]:
    return {name: build(name) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def exported(networks: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``<network>/<filename>`` for every network and format."""
    folder = tmp_path_factory.mktemp("exported")
    for name, network in networks.items():
        (folder / name).mkdir()
        for format_ in EVERY.values():
            format_.write(network, folder / name / format_.filename, context_of(network))
    return folder
