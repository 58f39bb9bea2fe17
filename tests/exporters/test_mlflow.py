"""The folder for MLflow, opened by MLflow itself in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml  # what MLflow reads with
from packaging.requirements import Requirement

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import Context
from nnpipe.exporters.huggingface import HuggingFace
from nnpipe.exporters.mlflow import Mlflow
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model

from .conftest import ARCHITECTURES

# MLflow is asked in a folder of its own and without a network: it finds all in the model's folder.
OPENED = """
import json, socket, sys
from pathlib import Path
import numpy as np
import mlflow.onnx, mlflow.pyfunc

def refuse(*address):
    raise AssertionError("MLflow calls somebody")

socket.socket.connect = socket.socket.connect_ex = refuse
told = {}
for folder in map(Path, sys.argv[1:]):
    inputs, model = np.load(folder / "inputs.npz"), mlflow.pyfunc.load_model(str(folder / "model"))
    np.savez(folder / "outputs.npz", **{name: model.predict(inputs[name])["output"] for name in inputs})
    try:
        model.predict(inputs["3"][..., 1:])
        refused = ""
    except mlflow.exceptions.MlflowException as error:
        refused = str(error)
    graph = mlflow.onnx.load_model(str(folder / "model")).graph
    signature = model.metadata.signature.to_dict()
    told[folder.name] = {
        "signature": {end: json.loads(signature[end]) for end in ("inputs", "outputs")},
        "document": json.loads(model.metadata.metadata["nnpipe"]),
        "ends": [graph.input[0].name, graph.output[0].name],
        "refused": refused,
        "unique": [model.metadata.run_id, model.metadata.model_uuid],
    }
x = np.load("binary/inputs.npz")["64"]
exec(Path("example.py").read_text())
np.save("example.npy", outputs)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def home(exported: Path, networks: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each network, with its folder for MLflow and batches of inputs; and lines of Python."""
    home = tmp_path_factory.mktemp("mlflow")
    for name, network in networks.items():
        with zipfile.ZipFile(exported / name / "mlflow.zip") as archive:
            archive.extractall(home / name / "model")
        batches = {
            str(batch): np.random.default_rng(batch).standard_normal((batch, *network.input_shape), dtype=np.float32)
            for batch in (1, 3, 64)
        }
        np.savez(home / name / "inputs.npz", **batches)
    (home / "example.py").write_text(Mlflow().example(str(exported / "binary" / "mlflow.zip")))
    return home


@pytest.fixture(scope="module")
def told(home: Path) -> dict[str, Any]:
    """What MLflow says of each folder; its outputs are in ``outputs.npz`` beside it."""
    runs = home / "runs"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "ORT_DISABLE_TELEMETRY": "1",
        "MLFLOW_TRACKING_URI": runs.as_uri(),
    }
    command = [sys.executable, "-c", OPENED, *(str(home / name) for name in ARCHITECTURES)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "requirement" not in done.stderr  # it warns where a folder asks for versions that are not there
    assert "saved in" not in done.stderr or sys.version_info[:2] != (3, 11)
    assert {path.name for path in home.iterdir()} == {*ARCHITECTURES, "example.py", "example.npy", "model"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_mlflow_computes_what_the_network_computes(
    name: str, told: dict[str, Any], home: Path, networks: dict[str, Network]
) -> None:
    inputs, outputs = np.load(home / name / "inputs.npz"), np.load(home / name / "outputs.npz")
    assert set(outputs) == {"1", "3", "64"}
    for batch in outputs:
        with torch.inference_mode():
            expected = networks[name](torch.from_numpy(inputs[batch])).numpy()
        np.testing.assert_allclose(outputs[batch], expected, rtol=0, atol=1e-5)
    assert told[name]["ends"] == ["input", "output"]


def test_the_lines_of_python_that_it_tells_run_the_file(told: dict[str, Any], home: Path) -> None:
    outputs = np.load(home / "binary" / "outputs.npz")
    np.testing.assert_array_equal(np.load(home / "example.npy"), outputs["64"])


def test_the_signature_is_of_float_tensors_and_mlflow_holds_inputs_to_it(told: dict[str, Any]) -> None:
    assert told["convnet"]["signature"] == {
        "inputs": [{"name": "input", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1, 10, 12]}}],
        "outputs": [{"name": "output", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 5]}}],
    }
    assert "Shape of input (3, 1, 10, 11) does not match expected shape (-1, 1, 10, 12)" in told["convnet"]["refused"]


def test_the_document_is_metadata_and_nothing_is_of_a_run(told: dict[str, Any], networks: dict[str, Network]) -> None:
    for name, network in networks.items():
        assert told[name]["document"] == json.loads(json.dumps(save_document(network)))
        assert told[name]["unique"] == [None, None]


def test_requirements_are_what_this_was_tested_with(home: Path) -> None:
    folder = home / "convnet" / "model"
    lines = (folder / "requirements.txt").read_text().splitlines()
    asked = {each.name: each.specifier for each in map(Requirement, lines)}
    assert set(asked) == {"mlflow", "onnx", "onnxruntime"}
    for package in ("mlflow", "onnx", "onnxruntime"):
        assert asked[package].contains(version("mlflow-skinny" if package == "mlflow" else package))
    conda = yaml.safe_load((folder / "conda.yaml").read_text())
    assert conda["dependencies"] == ["python=3.11", "pip", {"pip": lines}]
    assert yaml.safe_load((folder / "python_env.yaml").read_text()) == {
        "python": "3.11", "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]
    }  # fmt: skip


def network_of(class_names: list[str]) -> Network:
    layers = [{"kind": "dense", "units": len(class_names), "activation": "softmax"}]
    draws = torch.Generator().manual_seed(0)
    return Network(Model.model_validate({"layers": layers}), (4,), Scaling(scale=3e-7), class_names, draws).eval()


def test_mlflow_reads_names_of_any_letters_and_the_card(tmp_path: Path) -> None:
    network = network_of(["a: 'b'  - #c", '"\n\t', "\u2028é\x85\x7f\U0001f600", "%YAML 1.1", "x " * 200])
    Mlflow().write(network, tmp_path / "mlflow.zip", Context("# Ein Kärtchen\n"))
    with zipfile.ZipFile(tmp_path / "mlflow.zip") as archive:
        model, card = archive.read("MLmodel"), archive.read("README.md").decode()
    document = json.loads(json.dumps(save_document(network)))
    assert json.loads(yaml.safe_load(model.decode("ascii"))["metadata"]["nnpipe"]) == document
    assert Mlflow().about(tmp_path / "mlflow.zip") == document
    assert card == "# Ein Kärtchen\n"


def test_archives_for_mlflow_and_for_the_hub_are_told_apart_by_what_is_inside(tmp_path: Path) -> None:
    network = network_of(["no", "yes"])
    Mlflow().write(network, tmp_path / "a.zip", Context())
    HuggingFace().write(network, tmp_path / "b.zip", Context())
    (tmp_path / "c.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    recognised = [
        [each.recognises(tmp_path / name) for name in ("a.zip", "b.zip", "c.zip")] for each in (Mlflow(), HuggingFace())
    ]
    assert recognised == [[True, False, False], [False, True, True]]
    raw = np.random.default_rng(0).random((5, 4), np.float32) * 1e-6
    scores = [open_model(tmp_path / name).predict(raw) for name in ("a.zip", "b.zip")]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0, atol=1e-6)
    with pytest.raises(DataError, match="not a readable archive"):
        open_model(tmp_path / "c.zip")


def test_an_archive_whose_weights_lie_elsewhere_is_refused(tmp_path: Path) -> None:
    Mlflow().write(network_of(["no", "yes"]), tmp_path / "mlflow.zip", Context())
    with zipfile.ZipFile(tmp_path / "mlflow.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    model = onnx.load_model_from_string(members["model.onnx"])
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    members["model.onnx"] = model.SerializeToString()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(DataError, match="weights in other files"):
        open_model(tmp_path / "a.zip")
