"""Networks whose weights have no symmetry that could hide a wrong order, and the files they are exported to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch.onnx._internal.exporter._registration import ONNXRegistry

from nnpipe.exporters import every_exporter, find_exporter
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


# Networks whose files can scale by themselves: an image, features each with numbers of its own, an autoencoder.
RAW_NETWORKS: dict[str, tuple[tuple[int, ...], list[Any], dict[str, Any]]] = {
    "raw_image": (
        (2, 6, 5),
        [
            {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "tanh"},
            {"kind": "flatten"},
            {"kind": "dense", "units": 3, "activation": "softmax"},
        ],
        {"scaling": Scaling(offset=10.0, scale=245.0, range=(10.0, 255.0)), "class_names": ["a", "b", "c"]},
    ),
    "raw_features": (
        (4,),
        [{"kind": "dense", "units": 9, "activation": "tanh"}, {"kind": "dense", "units": 2}],
        {
            "scaling": Scaling(offset=(0.0, -5.0, 300.0, 2.0), scale=(1.0, 0.02, 40.0, 3.0)),
            "class_names": [],
            "target_names": ["height", "weight"],
            "target_scaling": Scaling(offset=(170.0, -3.0), scale=(9.0, 0.25)),
        },
    ),
    "raw_autoencoder": (
        (1, 3, 4),
        [{"kind": "dense", "units": 2}, {"kind": "dense", "units": 12, "activation": "sigmoid"}],
        {"scaling": Scaling(offset=-2.0, scale=16.0), "class_names": [], "code": 0},
    ),
}


def build_raw(name: str) -> Network:
    """The network called ``name``, its weights drawn."""
    shape, layers, options = RAW_NETWORKS[name]
    draws = torch.Generator().manual_seed(11)
    network = Network(Model.model_validate({"layers": layers}), shape, generator=draws, **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=draws)
    return network.eval()


def raw_values(network: Network) -> np.ndarray:
    """64 examples as data could have them."""
    scaling, draws = network.scaling, np.random.default_rng(5)
    drawn = draws.uniform(-1, 1, (64, *network.input_shape)) * np.asarray(scaling.scale) + np.asarray(scaling.offset)
    return drawn.astype(np.float32)


def answer(network: Network) -> np.ndarray:
    """What ``network`` says of ``raw_values``, in the data's units; scaled in float64, both ways."""
    (offset, scale), raw = _numbers(network.scaling), raw_values(network).astype(np.float64)
    x = torch.from_numpy(((raw - offset) / scale).astype(np.float32))
    with torch.inference_mode():
        outputs = network(x).numpy().astype(np.float64)
    offset, scale = _numbers(network.scaling if network.code is not None else network.target_scaling)
    return np.asarray(outputs * scale + offset)


def _numbers(scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(scaling.offset, np.float64), np.asarray(scaling.scale, np.float64)


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


@pytest.fixture(scope="session", autouse=True)
def one_table_of_operators() -> Iterator[None]:
    """torch makes its table of ONNX's operators anew for each export, which takes longer than the rest of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def networks() -> dict[str, Network]:
    return {name: build(name) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def exported(networks: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``<network>/<filename>`` for every network and format; processes of one run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exported"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = tmp_path_factory.mktemp("unfinished")
            for name, network in networks.items():
                (unfinished / name).mkdir()
                for format_ in EVERY.values():
                    format_.write(network, unfinished / name / format_.filename, context_of(network))
            unfinished.rename(folder)
    return folder


# Only files go between the two processes: nothing of nnpipe is there to help Keras.
IN_KERAS = """
import json, sys
from pathlib import Path
import numpy as np
sys.modules["nnpipe"] = None
import keras
from keras import layers as L
folder, foreign = map(Path, sys.argv[1:])
told = {}
for place in sorted(path for path in folder.iterdir() if (path / "x.npy").exists()):
    x = np.load(place / "x.npy")
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    outputs = {}
    for file in ("model.h5", "model.keras"):
        model = keras.models.load_model(place / file)
        outputs |= {f"{file} {batch}": model.predict_on_batch(x[:batch]) for batch in (1, 3, 64)}
        names = {"np": np, "x": np.load(place / "x.npy"), "raw": np.load(place / "x.npy")}
        exec((place / f"{file}.py").read_text(), names)
        outputs[f"{file} example"] = names["outputs"]
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mean_squared_error")
    labels = np.eye(max(2, model.output_shape[1]), dtype="float32")[np.arange(64) % 2][:, : model.output_shape[1]]
    losses = model.fit(x, labels, epochs=15, batch_size=16, verbose=0).history["loss"]
    for file in ("trained.h5", "trained.keras"):
        model.save(place / file)
    np.savez(place / "keras.npz", trained=model.predict_on_batch(x), **outputs)
    told[place.name] = {"layers": [type(layer).__name__ for layer in model.layers], "losses": losses}

# What people make themselves.
made = {
    "lecture": [L.Input((28, 28, 1)), L.Conv2D(4, (5, 3), activation="relu"), L.Conv2D(6, 5, use_bias=False),
        L.MaxPooling2D(2), L.Dropout(0.25), L.Flatten(), L.Dense(8, activation="relu"), L.Dropout(0.5),
        L.Dense(10, activation="softmax")],
    "colours": [L.Input((9, 8, 3)), L.Rescaling(1 / 255, offset=-0.5), L.Conv2D(4, 3, padding="same"),
        L.BatchNormalization(scale=False), L.ReLU(), L.AveragePooling2D(2), L.Flatten(), L.BatchNormalization(),
        L.Dense(7, activation="gelu"), L.GaussianDropout(0.1), L.Dense(3), L.Softmax()],
    "rows": [L.Input((6, 5)), L.Flatten(), L.Dense(12, activation="tanh"), L.LeakyReLU(negative_slope=0.01),
        L.Dense(2)],
    "vectors": [L.Input((30,)), L.Reshape((6, -1, 1)), L.Conv2D(4, 3, strides=2, activation="elu"),
        L.GlobalAveragePooling2D(), L.Dense(1, activation="sigmoid")],
}
random = np.random.default_rng(0)
for name, stack in made.items():
    model = keras.Sequential(stack)
    for weight in model.weights:
        weight.assign(random.random(weight.shape) * 0.6 - (0 if "variance" in weight.name else 0.3))
    for file in (".h5", ".keras"):
        model.save(foreign / f"{name}{file}")
    x = random.random((5, *model.input_shape[1:]), dtype="float32") * (255 if name == "colours" else 1)
    np.savez(foreign / name, x=x, y=model.predict_on_batch(x))
    (foreign / f"{name}.json").write_text(model.to_json())
print(json.dumps(told))
"""


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Keras's files of networks that were made in Keras, once ``keras`` has run."""
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="session")
def keras(exported: Path, networks: dict[str, Network], foreign: Path) -> dict[str, Any]:
    """What Keras tells about every network; its outputs lie in ``<network>/keras.npz``.

    Those of ``RAW_NETWORKS`` scale by themselves.
    """
    for name, network in networks.items():
        x = np.random.default_rng(3).standard_normal((64, *network.input_shape), dtype=np.float32)
        np.save(exported / name / "x.npy", x)
        for kind in ("keras", "keras_h5"):
            file = exported / name / EVERY[kind].filename
            file.with_name(f"{file.name}.py").write_text(EVERY[kind].example(str(file)))
    for name in RAW_NETWORKS:
        (exported / name).mkdir()
        np.save(exported / name / "x.npy", raw_values(build_raw(name)))
        for exporter in (find_exporter(kind, preprocessing="inside") for kind in ("keras", "keras_h5")):
            file = exported / name / exporter.filename
            exporter.write(build_raw(name), file, Context())
            file.with_name(f"{file.name}.py").write_text(exporter.example(str(file)))
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", IN_KERAS, str(exported), str(foreign)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
