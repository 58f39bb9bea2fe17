"""The export stage: which files it leaves, and that it runs what it wrote."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import Context, Exporter
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.stages.export import Export, export
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.output import Output

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Run

MODEL = Model.model_validate(
    {
        "layers": [
            {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "relu"},
            {"kind": "flatten"},
            {"kind": "dense", "units": 2, "activation": "softmax"},
        ]
    }
)


class NoCheckpoints:
    def load(self) -> None:
        return None

    def save(self, tensors: Mapping[str, np.ndarray], document: Any) -> None:
        raise AssertionError("export keeps no checkpoints")

    def due(self) -> bool:
        return False


@pytest.fixture
def trained(tmp_path: Path) -> Artifact:
    """The artifact of a network, as finetune leaves it."""
    network = Network(MODEL, (1, 6, 5), Scaling(scale=16.0), ["no", "yes"], torch.Generator().manual_seed(1))
    output = Output(tmp_path / "finetune")
    output.directory.mkdir()
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    output.tensors("model", tensors, save_document(network))
    data = (output.directory / "model.safetensors").read_bytes()
    files = {"model.safetensors": (len(data), hashlib.sha256(data).hexdigest())}
    return Artifact("id", output.directory, Manifest("finetune", output.content(), output.parts, files))


def run(formats: tuple[Any, ...], trained: Artifact, folder: Path) -> Output:
    folder.mkdir()
    work = Work("export", {"model": trained}, Output(folder), seed=5, root=folder, checkpoints=NoCheckpoints())
    export(Export(model=MODEL, formats=formats), work)
    return work.output


def listed(output: Output) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output.directory / "exports.json").read_bytes())
    return found


def test_each_format_is_written_verified_and_listed_in_order(trained: Artifact, tmp_path: Path) -> None:
    output = run(
        ("keras", "keras_h5", "onnx", "torch_export", "safetensors", "weights_h5", "huggingface"),
        trained,
        tmp_path / "export",
    )
    entries = listed(output)
    assert [(entry["kind"], entry["file"]) for entry in entries] == [
        ("keras", "model.keras"),
        ("keras_h5", "model.h5"),
        ("onnx", "model.onnx"),
        ("torch_export", "model.pt2"),
        ("safetensors", "model.safetensors"),
        ("weights_h5", "weights.h5"),
        ("huggingface", "huggingface.zip"),
    ]
    for entry in entries:
        data = (output.directory / entry["file"]).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == output.parts[entry["file"]] == hashlib.sha256(data).hexdigest()
    differences = {entry["kind"]: (entry["verified"], entry["largest_difference"]) for entry in entries}
    assert differences == {
        "keras": (False, None),
        "keras_h5": (False, None),
        "onnx": (True, 1e-6),
        "torch_export": (True, 1e-6),
        "safetensors": (True, 1e-6),
        "weights_h5": (True, 1e-6),
        "huggingface": (True, 1e-6),
    }
    assert list(output.summary["formats"]) == [entry["kind"] for entry in entries]
    assert set(output.parts) == {"exports", *(entry["file"] for entry in entries)}


def test_the_same_network_gives_the_same_content(trained: Artifact, tmp_path: Path) -> None:
    formats = ("keras", "keras_h5", "onnx", "torch_export", "safetensors", "weights_h5", "huggingface")
    contents = [run(formats, trained, tmp_path / name).content() for name in ("first", "second")]
    assert contents[0] == contents[1]


def test_without_formats_the_list_is_empty(trained: Artifact, tmp_path: Path) -> None:
    output = run((), trained, tmp_path / "export")
    assert listed(output) == []
    assert output.summary == {"formats": {}}


def test_a_format_named_twice_is_written_once(trained: Artifact, tmp_path: Path) -> None:
    output = run(("safetensors", {"kind": "safetensors"}), trained, tmp_path / "export")
    assert [entry["kind"] for entry in listed(output)] == ["safetensors"]


class Faulty(Exporter):
    """A format whose file computes ``outputs`` of every input."""

    kind: Literal["faulty"] = "faulty"
    filename: ClassVar[str] = "faulty"
    loading: ClassVar[str] = "nothing"
    error: float = 0.0
    repeated: int = 1

    def write(self, network: Network, path: Path, context: Context) -> None:
        self.__dict__["network"] = network
        path.write_bytes(b"")

    def about(self, path: Path) -> dict[str, object]:
        raise AssertionError("nobody asks")

    def load(self, path: Path, architecture: Model | None = None) -> Run:
        def compute(x: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                outputs: np.ndarray = self.__dict__["network"](torch.from_numpy(x)).numpy()
            # Right for a single example: what goes wrong, goes wrong with several.
            return (outputs if len(x) == 1 else outputs + np.float32(self.error)).repeat(self.repeated, axis=1)

        return compute


@pytest.mark.parametrize("fault", [{"error": 1e-3}, {"error": float("nan")}, {"repeated": 2}])
def test_a_file_that_computes_something_else_fails_the_stage(
    fault: dict[str, Any], trained: Artifact, tmp_path: Path
) -> None:
    config = Export.model_construct(model=MODEL, formats=(Faulty.model_construct(**fault),))
    work = Work("export", {"model": trained}, Output(tmp_path), seed=5, root=tmp_path, checkpoints=NoCheckpoints())
    with pytest.raises(StageError, match="the faulty file does not compute what the network computes"):
        export(config, work)


def test_a_small_difference_is_told_rounded_up_to_a_power_of_ten(trained: Artifact, tmp_path: Path) -> None:
    config = Export.model_construct(model=MODEL, formats=(Faulty.model_construct(error=3e-5),))
    work = Work("export", {"model": trained}, Output(tmp_path), seed=5, root=tmp_path, checkpoints=NoCheckpoints())
    export(config, work)
    assert listed(work.output)[0]["largest_difference"] == 1e-4


def test_a_missing_runtime_is_told_and_is_no_failure(
    trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    hidden = "onnxruntime"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == hidden else found(name, *rest))
    entry = listed(run(("onnx",), trained, tmp_path / "export"))[0]
    assert (entry["verified"], entry["largest_difference"]) == (False, None)
