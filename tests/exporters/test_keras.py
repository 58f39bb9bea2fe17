"""Keras's two formats, opened by real Keras in a process of its own: its backend is chosen once for a whole process."""

from __future__ import annotations

import json
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
from nnpipe.exporters import exporter_of
from nnpipe.exporters.exporter import Context, WeightsExporter
from nnpipe.exporters.keras import Keras
from nnpipe.exporters.keras_h5 import KerasH5
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Layer, Shape
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model
from nnpipe.store.hdf5_tree import Group, write_tree

from .conftest import RAW_NETWORKS, answer, build_raw

FUNCTIONAL = ("every_layer", "reshapes")  # networks with a way round layers are no Sequential models
FILES = pytest.mark.parametrize("ending", ["h5", "keras"])
NEEDS_KERAS = pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")


@NEEDS_KERAS
def test_keras_computes_what_the_network_computes(
    exported: Path, networks: dict[str, Network], keras: dict[str, Any]
) -> None:
    assert set(keras) == {*networks, *RAW_NETWORKS}
    for name, network in networks.items():
        x = torch.from_numpy(np.load(exported / name / "x.npy"))
        with np.load(exported / name / "keras.npz") as outputs, torch.inference_mode():
            for batch, file in product((1, 3, 64), ("model.h5", "model.keras")):
                found, expected = outputs[f"{file} {batch}"], network(x[:batch])
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=f"{name}, {file}")


@NEEDS_KERAS
@pytest.mark.parametrize("name", RAW_NETWORKS)
def test_keras_scales_by_itself(name: str, exported: Path, keras: dict[str, Any]) -> None:
    expected = answer(build_raw(name))
    with np.load(exported / name / "keras.npz") as outputs:
        for batch, file in product((1, 3, 64), ("model.h5", "model.keras")):
            np.testing.assert_allclose(outputs[f"{file} {batch}"], expected[:batch], rtol=1e-5, atol=1e-5, err_msg=file)
    normalizations = 1 if name == "raw_image" else 2  # classes have no units
    assert keras[name]["layers"][0] == "Normalization"
    assert keras[name]["layers"].count("Normalization") == normalizations


@NEEDS_KERAS
def test_the_lines_that_a_card_shows_run_the_file(
    exported: Path, networks: dict[str, Network], keras: dict[str, Any]
) -> None:
    for name in networks:
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
def test_keras_trains_on(networks: dict[str, Network], keras: dict[str, Any]) -> None:
    for name in (*networks, "raw_image"):
        losses = keras[name]["losses"]
        assert losses[-1] < 0.9 * losses[0], name


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


@FILES
def test_what_was_exported_comes_back_as_it_was(exported: Path, networks: dict[str, Network], ending: str) -> None:
    for name, network in networks.items():
        path = exported / name / f"model.{ending}"
        exporter = exporter_of(path)
        assert isinstance(exporter, WeightsExporter)
        tensors, document = exporter.read(path)
        assert document["architecture"] == network.architecture.model_dump(mode="json")
        assert tensors.keys() == network.state_dict().keys()
        for key, tensor in network.state_dict().items():
            np.testing.assert_array_equal(tensors[key], tensor.numpy(), err_msg=f"{name}, {key}")


@NEEDS_KERAS
@FILES
def test_what_keras_trained_on_comes_back_with_keras_outputs(
    exported: Path, networks: dict[str, Network], keras: dict[str, Any], ending: str
) -> None:
    for name in set(networks) - set(FUNCTIONAL):
        x, path = np.load(exported / name / "x.npy"), exported / name / f"trained.{ending}"
        with np.load(exported / name / "keras.npz") as outputs:
            expected = outputs["trained"]
        found = open_model(path).predict(x)[:, -expected.shape[1] :]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=name)


@NEEDS_KERAS
@FILES
@pytest.mark.parametrize(
    ("name", "shape", "answers"),
    [
        ("lecture", (1, 28, 28), tuple("0123456789")),
        ("colours", (3, 9, 8), ("0", "1", "2")),
        ("rows", (1, 6, 5), ("output_0", "output_1")),
        ("vectors", (30,), ("0", "1")),
    ],
)
def test_a_network_made_in_keras_gives_what_it_gives_in_keras(
    keras: dict[str, Any], foreign: Path, ending: str, name: str, shape: tuple[int, ...], answers: tuple[str, ...]
) -> None:
    with np.load(foreign / f"{name}.npz") as file:
        x, y = file["x"], file["y"]
    model = open_model(foreign / f"{name}.{ending}")
    assert (model.input_shape, model.names) == (shape, answers)
    ours = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x.reshape(len(x), *shape)
    np.testing.assert_allclose(model.predict(ours)[:, -y.shape[1] :], y, rtol=0, atol=1e-5)


@NEEDS_KERAS
def test_files_of_keras_2_are_read_too(keras: dict[str, Any], foreign: Path, tmp_path: Path) -> None:
    # It wrote a bare list of layers, the input's shape with the first of them, and longer names of weights.
    with h5py.File(foreign / "lecture.h5") as file:
        config = json.loads(file.attrs["model_config"])
        saved = {name: dict.fromkeys((), file[f"model_weights/{name}"]) for name in file["model_weights"]}
        assert saved, "the test has something to rename"
        layers = config["config"]["layers"][1:]
        layers[0]["config"]["batch_input_shape"] = [None, 28, 28, 1]
        groups = {}
        for name in file["model_weights"].attrs["layer_names"]:
            group = file[f"model_weights/{name}"]
            names = list(group.attrs["weight_names"])
            arrays = {each.split("/")[-1] + ":0": np.asarray(group[each]) for each in names}
            listed = np.array([f"{name}_1/{key}" for key in arrays], "S")
            groups[name] = Group({"weight_names": listed}, groups={f"{name}_1": Group(arrays=arrays)})
        listed = np.array(list(file["model_weights"].attrs["layer_names"]), "S")
    old = json.dumps({"class_name": "Sequential", "config": layers}).encode()
    # HDF5 holds no long attributes: Keras divides lists of names then.
    whole = Group({"layer_names0": listed[:4], "layer_names1": listed[4:]}, groups=groups)
    write_tree(tmp_path / "old.h5", Group({"model_config": old}, groups={"model_weights": whole}))
    with np.load(foreign / "lecture.npz") as file:
        found = open_model(tmp_path / "old.h5").predict(file["x"].transpose(0, 3, 1, 2))
        np.testing.assert_allclose(found, file["y"], rtol=0, atol=1e-5)
