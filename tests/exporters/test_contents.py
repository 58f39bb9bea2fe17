"""What stands in each file besides the numbers, read by the format's own library alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

from nnpipe.errors import UsageError
from nnpipe.exporters import every_exporter, find_exporter
from nnpipe.exporters.onnx import Onnx
from nnpipe.models.network import Network, save_document

EVERY = every_exporter()


@pytest.fixture
def document(networks: dict[str, Network]) -> dict[str, Any]:
    """The document of the convolutional network, as JSON has it."""
    plain: dict[str, Any] = json.loads(json.dumps(save_document(networks["convnet"])))
    return plain


@pytest.fixture
def tensors(networks: dict[str, Network]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in networks["convnet"].state_dict().items()}


def test_safetensors_holds_the_weights_by_name_and_the_document(
    exported: Path, tensors: dict[str, np.ndarray], document: dict[str, Any]
) -> None:
    with safe_open(exported / "convnet" / "model.safetensors", framework="numpy") as file:
        assert set(file.metadata()) == {"nnpipe"}
        assert json.loads(file.metadata()["nnpipe"]) == document
        assert set(file.keys()) == set(tensors)
        for name, expected in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), expected)


def test_weights_h5_holds_a_data_set_a_tensor_and_the_document(
    exported: Path, tensors: dict[str, np.ndarray], document: dict[str, Any]
) -> None:
    with h5py.File(exported / "convnet" / "weights.h5") as file:
        assert json.loads(file.attrs["nnpipe"]) == document
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        assert sorted(found) == sorted(name.replace(".", "/") for name in tensors)
        for name, expected in tensors.items():
            np.testing.assert_array_equal(file[name.replace(".", "/")][()], expected)


def test_onnx_is_one_valid_file_with_a_batch_of_any_size(exported: Path) -> None:
    assert not list((exported / "convnet").glob("*.data"))
    model = onnx.load(exported / "convnet" / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    shapes = {
        end.name: [axis.dim_param or axis.dim_value for axis in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"input": ["batch", 1, 10, 12], "output": ["batch", 5]}


def test_onnx_says_how_to_scale_and_what_the_classes_are_called(exported: Path, document: dict[str, Any]) -> None:
    model = onnx.load(exported / "convnet" / "model.onnx")
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props} == document
    assert document["scaling"] == {"offset": 0.25, "scale": 255.0, "range": None}


def test_onnx_runtime_reports_to_nobody_and_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
import numpy as np
from nnpipe.prediction.model import open_model
print(open_model(Path(sys.argv[1])).predict(np.zeros((2, 1, 10, 12))).shape)
"""
    command = [sys.executable, "-c", script, str(exported / "convnet" / "model.onnx")]
    # Without the variables of tests and of CI, which keep it quiet too.
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2, 5)\n", "")
    assert list(tmp_path.iterdir()) == []


def test_torch_export_runs_where_there_is_no_nnpipe(exported: Path, networks: dict[str, Network]) -> None:
    script = """
import json, sys
sys.modules["nnpipe"] = None
import torch
extra = {"nnpipe.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra)
outputs = program.module()(torch.linspace(-1, 1, 3 * 120).reshape(3, 1, 10, 12))
print(json.dumps([outputs.tolist(), json.loads(extra["nnpipe.json"])["class_names"]]))
"""
    command = [sys.executable, "-W", "error", "-c", script, str(exported / "convnet" / "model.pt2")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs, class_names = json.loads(done.stdout)
    with torch.inference_mode():
        expected = networks["convnet"](torch.linspace(-1, 1, 3 * 120).reshape(3, 1, 10, 12))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)
    assert class_names == [f"class {index}" for index in range(5)]


def test_every_format_has_a_name_and_a_file_of_its_own() -> None:
    assert set(EVERY) == {
        "keras", "keras_h5", "onnx", "onnx_int8", "torch_export", "safetensors", "weights_h5", "huggingface", "mlflow"
    }  # fmt: skip
    assert len({format_.filename for format_ in EVERY.values()}) == len(EVERY)


def test_a_format_is_found_by_its_name() -> None:
    assert find_exporter("onnx") == Onnx()


def test_an_unknown_format_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        find_exporter("keras_h6")
    assert "did you mean 'keras_h5'?" in str(caught.value)
    assert caught.value.exit_status == 2


def test_the_list_of_formats_is_read_without_torch() -> None:
    script = "import sys, nnpipe.exporters, nnpipe.stages.export; print({'torch', 'onnx', 'h5py'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
