"""Networks that learnt scikit-learn's digits leave in every format as they are: same outputs, same classes.

Weights that were only drawn hide mistakes, as all of them are alike. benchmarks/exports.py does the same with MNIST.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from nnpipe.cli import main
from nnpipe.exporters import every_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.layers import AnyLayer
from nnpipe.models.network import Network, load_network
from nnpipe.pipeline.spec import read_spec
from nnpipe.pipeline.trained import model_artifact
from nnpipe.spec import members
from nnpipe.store.store import Store

TOLERANCE, BATCHES = 1e-5, (1, 3, 64, 1797)  # the last is all images there are
EXACT = [kind for kind, exporter in every_exporter().items() if getattr(exporter, "exact", True)]
KERAS = ("keras", "keras_h5")


def dense(units: int, activation: str = "linear") -> dict[str, Any]:
    return {"kind": "dense", "units": units, "activation": activation}


def conv(filters: int, kernel: Any = 3, activation: str = "relu", **options: Any) -> dict[str, Any]:
    return {"kind": "conv2d", "filters": filters, "kernel": kernel, "activation": activation, **options}


def residual(*layers: Any, activation: str = "linear") -> dict[str, Any]:
    return {"kind": "residual", "layers": list(layers), "activation": activation}


SAME = {"padding": "same"}
RBM = {"kind": "rbm", "sampler": "cd", "steps": 1}
SGD = {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.5}
CUSTOM = {"kind": "custom", "class": "torch.nn.GroupNorm", "options": {"num_groups": 2, "num_channels": 6}}
SPECS: dict[str, dict[str, Any]] = {
    "lecture": {
        "model": [conv(8), conv(8), {"kind": "max_pool2d", "size": 2}, "flatten", dense(32, "relu"),
                  dense(10, "softmax")]
    },
    "belief_net": {
        "model": [dense(60, "sigmoid"), dense(60, "sigmoid"), dense(10, "softmax")],
        "pretrain": {"method": RBM, "layers": 2, "epochs": 3, "batch_size": 20, "optimizer": SGD},
    },
    "every_layer": {
        "model": [
            conv(8, [3, 5], "leaky_relu", **SAME), {"kind": "batch_norm", "momentum": 0.9, "epsilon": 0.01},
            {"kind": "activation", "activation": "elu"},
            conv(8, 3, "softplus", dilation=[2, 1], groups=2, **SAME), {"kind": "dropout", "rate": 0.1},
            residual(conv(8, [1, 3], "tanh", **SAME), "batch_norm", residual(conv(10, **SAME)), conv(12, **SAME),
                     {"kind": "avg_pool2d", "size": 2}, activation="relu"),
            {"kind": "max_pool2d", "size": 2, "stride": 1}, {"kind": "reshape", "shape": [9, 4, 3]}, conv(16, [3, 2]),
            "flatten", {"kind": "activation", "activation": "gelu"},
            residual({"kind": "reshape", "shape": [16, 2, 2]}, "global_average_pool2d", dense(48, "softsign")),
            residual({"kind": "reshape", "shape": [24, 2, 1]}, "global_max_pool2d", activation="leaky_relu"),
            dense(32, "tansig"), {"kind": "dropout", "rate": 0.2, "noise": "gaussian"}, "batch_norm", dense(10),
            {"kind": "activation", "activation": "softmax"},
        ]
    },
    "beyond_keras": {
        "model": [conv(6), CUSTOM, "flatten", dense(30, "sigmoid"),
                  {"kind": "classification_rbm", "hidden": 20, "classes": 10}]
    },
}  # fmt: skip
IN_KERAS = [(name, kind) for name in SPECS if name != "beyond_keras" for kind in KERAS]

ASK_KERAS = """
import json, sys
from pathlib import Path
import numpy as np
sys.modules["nnpipe"] = None
import keras
folder, batches, files = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
x = np.moveaxis(np.load(folder / "x.npy"), 1, -1)
for file in files:
    model = keras.models.load_model(folder / file)
    outputs = {str(size): model.predict(x[:size], batch_size=min(size, 599), verbose=0) for size in batches}
    np.savez(folder / (file + ".npz"), **outputs)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which every network has learnt for a few epochs, and the lecture's was measured."""
    folder = tmp_path_factory.mktemp("trained")
    for name, spec in SPECS.items():
        whole = {
            **spec, "version": 1, "name": name, "data": {"source": {"kind": "digits"}},
            "model": {"layers": spec["model"]},
            "train": {"epochs": 3, "batch_size": 20, "optimizer": {"kind": "adam", "learning_rate": 0.003}},
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(json.dumps(whole))  # JSON is YAML
        until = "evaluate" if name == "lecture" else "finetune"
        words = ["run", str(folder / f"{name}.yaml"), "--store", str(folder / "store"), "--until", until]
        assert main([*words, "--engine", "local", "--threads", "1", "--quiet"]) == 0
    return folder / "store"


@pytest.fixture(scope="module")
def networks(store: Path) -> dict[str, Network]:
    """Each as it was learnt."""
    found = {}
    for name in SPECS:
        tensors, about = model_artifact(Store(store), f"{name}/latest").tensors("model")
        found[name] = load_network(tensors, about, Model.model_validate(about["architecture"]))
    return found


@pytest.fixture(scope="module")
def images(networks: dict[str, Network]) -> np.ndarray:
    """All of scikit-learn's digits as the networks want them, (1797, 1, 8, 8)."""
    return networks["lecture"].scaling.apply(load_digits().images[:, None])


@pytest.fixture(scope="module")
def files(networks: dict[str, Network], images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``<network>/<filename>`` for every exact format that can hold it."""
    folder, every = tmp_path_factory.mktemp("files"), every_exporter()
    np.save(folder / "x.npy", images)
    for name, network in networks.items():
        (folder / name).mkdir()
        for kind in EXACT:
            if kind not in KERAS or (name, kind) in IN_KERAS:
                every[kind].write(network, folder / name / every[kind].filename, Context())
    return folder


def check(network: Network, images: np.ndarray, outputs: dict[int, np.ndarray]) -> None:
    """That ``outputs`` of the first images, by how many they are of, are the network's."""
    assert list(outputs) == list(BATCHES)
    for size, found in outputs.items():
        with torch.inference_mode():
            expected = network(torch.from_numpy(images[:size])).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def kinds_of(models: Iterable[Model]) -> set[str]:
    return {layer.kind for model in models for _, layer in model.at_any_depth()}


def test_all_kinds_of_layers_are_among_them(networks: dict[str, Network]) -> None:
    every = {member.model_fields["kind"].default for member in members(AnyLayer)}
    assert kinds_of(network.architecture for network in networks.values()) == every
    for_mnist = [Path(__file__).with_name(f"{name}.yaml") for name in ("every_layer", "beyond_keras")]
    assert kinds_of(read_spec(path).model for path in for_mnist) == every, "the benchmark's, which MNIST is learnt by"


def test_they_learnt(networks: dict[str, Network], images: np.ndarray) -> None:
    for name, network in networks.items():
        with torch.inference_mode():
            said = network(torch.from_numpy(images)).argmax(1).numpy()
        assert (said == load_digits().target).mean() > 0.6, name


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind not in KERAS])
def test_a_trained_network_leaves_whole(
    kind: str, name: str, files: Path, networks: dict[str, Network], images: np.ndarray
) -> None:
    exporter = every_exporter()[kind]
    run = exporter.load(files / name / exporter.filename, networks[name].architecture)
    assert run is not None
    check(networks[name], images, {size: run(images[:size]) for size in BATCHES})


@pytest.fixture(scope="module")
def asked_keras(files: Path) -> Path:
    """Where Keras's outputs are, beside the files."""
    every = every_exporter()
    paths = [f"{name}/{every[kind].filename}" for name, kind in IN_KERAS]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", ASK_KERAS, str(files), json.dumps(BATCHES), json.dumps(paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return files


@pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")
@pytest.mark.parametrize(("name", "kind"), IN_KERAS)
def test_a_trained_network_leaves_whole_for_keras(
    name: str, kind: str, asked_keras: Path, networks: dict[str, Network], images: np.ndarray
) -> None:
    with np.load(asked_keras / name / f"{every_exporter()[kind].filename}.npz") as outputs:
        check(networks[name], images, {int(size): outputs[size] for size in outputs.files})


def test_predict_gives_the_accuracy_that_was_measured_without_torch(store: Path, files: Path) -> None:
    (data,) = store.glob("objects/*/*/data.h5")
    (measured,) = store.glob("objects/*/*/evaluation.json")
    words = ["predict", str(files / "lecture" / "model.onnx"), str(data), "--array", "X_test", "--format", "json"]
    code = f"import sys; from nnpipe.cli import main; sys.exit(main({words!r}) or 3 * ('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with h5py.File(data) as file:
        labels = file["y_test"][:]
    said = [int(row["class"]) for row in json.loads(done.stdout)["predictions"]]
    assert np.mean(said == labels) == json.loads(measured.read_text())["test_accuracy"]
