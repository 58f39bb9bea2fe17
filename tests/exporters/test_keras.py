"""Keras's two formats, opened by real Keras in a process of its own: its backend is chosen once for a whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import torch

from nnpipe.errors import DataError, StageError
from nnpipe.exporters.exporter import Context
from nnpipe.exporters.keras import Keras
from nnpipe.exporters.keras_h5 import KerasH5
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Layer, Shape
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling

NEEDS_KERAS = pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")

# Only files go between the two processes: nothing of nnpipe is there to help Keras.
IN_KERAS = """
import json, sys
from pathlib import Path
import numpy as np
sys.modules["nnpipe"] = None
import keras
told = {}
for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if (path / "x.npy").exists()):
    x = np.load(folder / "x.npy")
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)
    outputs = {}
    for file in ("model.h5", "model.keras"):
        model = keras.models.load_model(folder / file)
        outputs |= {f"{file} {batch}": model.predict_on_batch(x[:batch]) for batch in (1, 3, 64)}
        names = {"np": np, "x": np.load(folder / "x.npy")}
        exec((folder / f"{file}.py").read_text(), names)
        outputs[f"{file} example"] = names["outputs"]
    np.savez(folder / "keras.npz", **outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mean_squared_error")
    labels = np.eye(max(2, model.output_shape[1]), dtype="float32")[np.arange(64) % 2][:, : model.output_shape[1]]
    losses = model.fit(x, labels, epochs=15, batch_size=16, verbose=0).history["loss"]
    told[folder.name] = {"layers": [type(layer).__name__ for layer in model.layers], "losses": losses}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def keras(exported: Path, networks: dict[str, Network]) -> dict[str, Any]:
    """What Keras tells about every network; its outputs lie in ``<network>/keras.npz``."""
    for name, network in networks.items():
        x = np.random.default_rng(3).standard_normal((64, *network.input_shape), dtype=np.float32)
        np.save(exported / name / "x.npy", x)
        for format_ in (Keras(), KerasH5()):
            file = exported / name / format_.filename
            file.with_name(f"{file.name}.py").write_text(format_.example(str(file)))
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", IN_KERAS, str(exported)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@NEEDS_KERAS
def test_keras_computes_what_the_network_computes(
    exported: Path, networks: dict[str, Network], keras: dict[str, Any]
) -> None:
    assert set(keras) == set(networks)
    for name, network in networks.items():
        x = torch.from_numpy(np.load(exported / name / "x.npy"))
        with np.load(exported / name / "keras.npz") as outputs, torch.inference_mode():
            for batch, file in product((1, 3, 64), ("model.h5", "model.keras")):
                found, expected = outputs[f"{file} {batch}"], network(x[:batch])
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=f"{name}, {file}")


@NEEDS_KERAS
def test_the_lines_that_a_card_shows_run_the_file(
    exported: Path, networks: dict[str, Network], keras: dict[str, Any]
) -> None:
    for name in keras:
        with np.load(exported / name / "keras.npz") as outputs, torch.inference_mode():
            expected = networks[name](torch.from_numpy(np.load(exported / name / "x.npy")))
            for file in ("model.h5", "model.keras"):
                np.testing.assert_allclose(outputs[f"{file} example"], expected, rtol=0, atol=1e-5, err_msg=name)


@NEEDS_KERAS
def test_keras_has_the_layers_of_the_spec(keras: dict[str, Any]) -> None:
    assert keras["convnet"]["layers"] == ["Conv2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    assert keras["options"]["layers"] == [
        "Dropout", "Conv2D", "MaxPooling2D", "Conv2D", "Flatten", "Dropout", "Dense", "Dense"
    ]  # fmt: skip
    layers = keras["every_layer"]["layers"]
    assert layers.count("Add") == 4
    assert layers.count("BatchNormalization") == 4
    assert {"AveragePooling2D", "MaxPooling2D", "LeakyReLU", "Activation", "GaussianDropout"} <= set(layers)


@NEEDS_KERAS
def test_keras_trains_on(keras: dict[str, Any]) -> None:
    for name, told in keras.items():
        assert told["losses"][-1] < 0.9 * told["losses"][0], name


def test_the_document_stands_in_the_file(exported: Path, networks: dict[str, Network]) -> None:
    expected = json.loads(json.dumps(save_document(networks["convnet"])))
    with h5py.File(exported / "convnet" / "model.h5") as file:
        assert json.loads(file.attrs["nnpipe"]) == expected
    for format_ in (Keras(), KerasH5()):
        assert format_.about(exported / "convnet" / format_.filename) == expected


def test_a_keras_archive_has_what_keras_looks_for_and_no_time(exported: Path) -> None:
    with zipfile.ZipFile(exported / "every_layer" / "model.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert set(json.loads(archive.read("metadata.json"))) == {"keras_version", "nnpipe"}


def a_text(path: Path) -> None:
    path.write_text("not an archive")


def an_archive_of_something_else(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "[1, 2]")


def an_archive_without_metadata(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def an_archive_that_grows_without_measure(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", b" " * 10**6)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (a_text, "not a readable archive"),
        (an_archive_without_metadata, "not a readable archive"),
        (an_archive_of_something_else, "does not say what network"),
        (an_archive_that_grows_without_measure, "does not compress what is inside"),
    ],
)
def test_what_is_no_keras_file_is_refused(make: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    make(tmp_path / "model.keras")
    with pytest.raises(DataError, match=told):
        Keras().about(tmp_path / "model.keras")


def test_a_long_list_of_scaling_numbers_fits(tmp_path: Path) -> None:
    numbers = tuple(1 + 1 / (index + 3) for index in range(4000))
    network = _network([{"kind": "dense", "units": 2, "activation": "softmax"}], (4000,), Scaling(scale=numbers))
    KerasH5().write(network, tmp_path / "model.h5", Context())
    with h5py.File(tmp_path / "model.h5") as file:
        assert len(file.attrs["nnpipe"]) > 64 * 1024, "the test is of texts above HDF5's limit for small attributes"
        assert tuple(json.loads(file.attrs["nnpipe"])["scaling"]["scale"]) == numbers


@pytest.mark.parametrize("layers", [[], [{"kind": "flatten"}], [{"kind": "flatten"}, {"kind": "dropout", "rate": 0.5}]])
def test_a_network_that_gives_images_is_refused(layers: list[dict[str, Any]], tmp_path: Path) -> None:
    network = _network([{"kind": "conv2d", "filters": 2, "kernel": 3}, *layers], (1, 5, 5), Scaling())
    for format_ in (Keras(), KerasH5()):
        with pytest.raises(StageError, match="images"):
            format_.write(network, tmp_path / format_.filename, Context())
        assert not (tmp_path / format_.filename).exists()


class Wavelet(Layer):
    """A layer that Keras cannot have heard of."""

    kind: Literal["wavelet"] = "wavelet"

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: torch.Generator) -> torch.nn.Module:
        return torch.nn.Identity()


def test_a_layer_that_keras_has_not_is_refused_by_name(tmp_path: Path) -> None:
    network = _network([{"kind": "dense", "units": 2, "activation": "softmax"}], (3,), Scaling())
    network.architecture = Model.model_construct(layers=(Wavelet(),))
    with pytest.raises(StageError, match="wavelet"):
        KerasH5().write(network, tmp_path / "model.h5", Context())


def _network(layers: list[dict[str, Any]], input_shape: tuple[int, ...], scaling: Scaling) -> Network:
    generator = torch.Generator().manual_seed(0)
    return Network(Model.model_validate({"layers": layers}), input_shape, scaling, ["a", "b"], generator).eval()


def test_a_stride_with_a_dilation_is_refused_as_keras_has_no_such_convolution(tmp_path: Path) -> None:
    convolution = {"kind": "conv2d", "filters": 2, "kernel": 3, "stride": 2, "dilation": 2}
    layers = [convolution, "flatten", {"kind": "dense", "units": 2}]
    with pytest.raises(StageError, match="both a stride and a dilation"):
        KerasH5().write(_network(layers, (1, 9, 9), Scaling()), tmp_path / "model.h5", Context())


def test_a_layer_of_the_users_is_refused_by_name(tmp_path: Path) -> None:
    network = _network([{"kind": "custom", "class": "torch.nn.Softsign"}], (2,), Scaling())
    with pytest.raises(StageError, match="custom"):
        KerasH5().write(network, tmp_path / "model.h5", Context())
