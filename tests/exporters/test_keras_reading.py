"""What a Keras file may hold that is refused, and how that is told; test_keras reads files that Keras wrote."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nnpipe.errors import DataError
from nnpipe.exporters.keras_document import keras_document
from nnpipe.prediction.model import open_model
from nnpipe.store.hdf5_tree import Group, write_tree


def sequential(*layers: tuple[str, dict[str, Any]], shape: tuple[int, ...] = (8, 8, 3)) -> dict[str, Any]:
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape]}}
    described = [first, *({"class_name": name, "config": config} for name, config in layers)]
    return {"class_name": "Sequential", "config": {"layers": described}}


FLATTEN: tuple[str, dict[str, Any]] = ("Flatten", {})
DENSE: tuple[str, dict[str, Any]] = ("Dense", {"units": 2, "activation": "softmax"})


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([("LSTM", {"units": 3}), DENSE], "LSTM cannot be read: a layer that nnpipe does not have"),
        ([("Lambda", {"function": "os.system"}), FLATTEN, DENSE], "Lambda cannot be read"),
        ([DENSE], "Dense cannot be read: a dense layer that reads images place by place"),
        ([("Conv2D", {"filters": 2, "kernel_size": 3, "data_format": "channels_first"})], "data_format channels_first"),
        ([("Conv2D", {"filters": 2, "kernel_size": [2, 2], "padding": "same"})], "odd kernel"),
        ([("Conv2D", {"filters": 2, "kernel_size": 9})], "larger than what it is moved over"),
        ([("MaxPooling2D", {"pool_size": 2, "padding": "same"})], "padding same"),
        ([FLATTEN, ("Dense", {"units": 2, "activation": "leaky_relu"})], "activation leaky_relu"),
        ([FLATTEN, ("Dense", {"units": 2, "activation": {"class_name": "Mine"}})], "activation"),
        ([("LeakyReLU", {"negative_slope": 0.3})], "a slope of 0.3, not 0.01"),
        ([("ReLU", {"max_value": 6.0})], "max_value 6.0"),
        ([("BatchNormalization", {"axis": 1, "momentum": 0.9, "epsilon": 0.1})], "axis 1"),
        ([("Rescaling", {"scale": [1, 2, 3]})], "a scale for each value"),
        ([FLATTEN, ("Rescaling", {"scale": 2})], "not the first layer"),
        ([("Normalization", {"mean": None, "variance": None})], "not told with the layers"),
        ([("Normalization", {"mean": 1, "variance": 4, "invert": True})], "invert True"),
        ([("Reshape", {"target_shape": [4, 16, 3]})], "another order of the values"),
        ([("Reshape", {"target_shape": [4, -1, -1]})], "Reshape cannot be read"),
        ([("Dense", {"units": -1})], "Dense cannot be read"),
        ([("Dense", {})], "Dense cannot be read"),
        ([("Conv2D", {"filters": "many", "kernel_size": 3})], "filters"),
        ([("GlobalMaxPooling2D", {"keepdims": True})], "keepdims True"),
        ([("MaxPooling2D", {"pool_size": 2})], "the network gives no vector"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(layers: list[Any], told: str) -> None:
    with pytest.raises(DataError) as error:
        keras_document(sequential(*layers), "model.h5")
    assert told in f"{error.value.what}: {error.value.found}"
    assert str(error.value.where).startswith("model.h5")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"class_name": "Functional", "config": {"layers": []}}, "Functional model"),
        ({"class_name": "Sequential", "config": {"layers": [3]}}, "something else"),
        ([], "something else"),
        (sequential(DENSE, shape=(None, 3)), "does not say what it reads"),
        ({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}}, "what it reads"),
    ],
)
def test_what_is_no_sequential_model_is_refused(config: Any, told: str) -> None:
    with pytest.raises(DataError) as error:
        keras_document(config, "model.h5")
    assert told in f"{error.value.what}: {error.value.found}"


def without_a_layer(groups: dict[str, Group]) -> None:
    del groups["b"]


def of_another_shape(groups: dict[str, Group]) -> None:
    groups["b"] = Group({"weight_names": np.array(["kernel"], "S")}, {"kernel": np.zeros((4, 3), np.float32)})


def without_a_kernel(groups: dict[str, Group]) -> None:
    groups["b"] = Group({"weight_names": np.array(["bias"], "S")}, {"bias": np.zeros(2, np.float32)})


def of_whole_numbers(groups: dict[str, Group]) -> None:
    groups["b"] = Group({"weight_names": np.array(["kernel"], "S")}, {"kernel": np.zeros((4, 2), np.int64)})


@pytest.mark.parametrize("damage", [without_a_layer, of_another_shape, without_a_kernel, of_whole_numbers])
def test_weights_that_are_not_of_the_network_are_refused(
    damage: Callable[[dict[str, Group]], None], tmp_path: Path
) -> None:
    kernels = {"a": np.zeros((3, 4), np.float32), "b": np.zeros((4, 2), np.float32)}
    names = np.array(["kernel"], "S")
    groups = {name: Group({"weight_names": names}, {"kernel": array}) for name, array in kernels.items()}
    damage(groups)
    layers = [("Dense", {"name": "a", "units": 4}), ("Dense", {"name": "b", "units": 2})]
    config = json.dumps(sequential(*layers, shape=(3,)))
    saved = Group({"layer_names": np.array(["a", "b"], "S")}, groups=groups)
    write_tree(tmp_path / "model.h5", Group({"model_config": config}, groups={"model_weights": saved}))
    with pytest.raises(DataError, match="not of this network"):
        open_model(tmp_path / "model.h5")


def test_a_network_that_claims_more_than_its_file_holds_takes_no_memory(tmp_path: Path) -> None:
    for units, told in ((10**12, "more than 268,435,456 values"), (10**8, "not of this network")):
        config = json.dumps(sequential(("Dense", {"units": units}), ("Dense", {"units": 2}), shape=(10**6,)))
        path = tmp_path / f"{units}.h5"
        write_tree(path, Group({"model_config": config}, groups={"model_weights": Group()}))
        with pytest.raises(DataError) as error:
            open_model(path)
        assert told in str(error.value)


def test_a_network_that_claims_more_answers_than_can_be_named_is_refused() -> None:
    with pytest.raises(DataError, match="no vector of answers"):
        keras_document(sequential(("Dense", {"units": 10**12}), shape=(3,)), "model.h5")


def test_a_text_that_has_no_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(FLATTEN, DENSE))  # of variable length, as Keras has it
    monkeypatch.setattr("nnpipe.store.variable_text.READ", "while True: pass")
    monkeypatch.setattr("nnpipe.store.variable_text.SECONDS", 0.2)
    with pytest.raises(DataError, match="a text that cannot be read"):
        open_model(tmp_path / "model.h5")


def test_the_architecture_alone_is_no_network(tmp_path: Path) -> None:
    config = json.dumps(sequential(FLATTEN, DENSE))
    write_tree(tmp_path / "model.h5", Group({"model_config": config}))
    with pytest.raises(DataError, match="holds no weights"):
        open_model(tmp_path / "model.h5")


def test_a_keras_archive_without_weights_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(sequential(FLATTEN, DENSE)))
    with pytest.raises(DataError, match="not a readable archive"):
        open_model(tmp_path / "model.keras")
