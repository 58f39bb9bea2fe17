"""Files that were made to do harm are refused quickly and in words, without much memory, and nothing is executed."""

from __future__ import annotations

import pickle
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from nnpipe.cli import main
from nnpipe.exporters import find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling

from .hostile_documents import DOCUMENTS, put_document
from .hostile_examples import EXAMPLES
from .hostile_hdf5 import HDF5
from .hostile_models import MODELS, TRAP, Trap
from .hostile_onnx import GRAPHS

LAYERS = [{"kind": "dense", "units": 6, "activation": "tanh"}, {"kind": "dense", "units": 3, "activation": "softmax"}]
ASKED = ("model.onnx", "model.safetensors", "weights.h5", "huggingface.zip")  # what can be asked at all
EVERY = {**MODELS, **HDF5}
SECONDS, MEMORY = 5.0, 200 << 20


@dataclass(frozen=True)
class Right:
    """A folder with a network in every format and examples for it; the network's document."""

    folder: Path
    document: dict[str, Any]

    def copy(self, file: str, folder: Path) -> Path:
        """Where a file of this name is to be spoilt; it is there, if it is of a network."""
        if (self.folder / file).exists():
            shutil.copy(self.folder / file, folder)
        return folder / file


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Right:
    folder = tmp_path_factory.mktemp("right")
    model, scaling = Model.model_validate({"layers": LAYERS}), Scaling(scale=255, range=(0, 255))
    network = Network(model, (1, 4, 5), scaling, ["a", "b", "c"], torch.Generator().manual_seed(0)).eval()
    for kind in ("onnx", "safetensors", "weights_h5", "huggingface", "keras", "keras_h5"):
        exporter = find_exporter(kind)
        exporter.write(network, folder / exporter.filename, Context())
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 256, (7, 1, 4, 5)).astype(np.uint8))
    return Right(folder, save_document(network))


def memory(what: str) -> int:
    """Bytes: VmRSS, what the process holds, or VmHWM, the most that it held since it was asked for VmRSS."""
    if what == "VmRSS":
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.findall(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Asks a network, and sees that it is refused with words and at little cost."""
    monkeypatch.chdir(tmp_path)  # where a trap would show

    def ask(model: Path, examples: Path, words: str) -> None:
        before, started = memory("VmRSS"), time.process_time()
        status = main(["predict", str(model), str(examples)])
        seconds, grown = time.process_time() - started, memory("VmHWM") - before
        told = capsys.readouterr().err
        assert status in (1, 2)
        assert told.startswith("error: ")
        assert words in told
        assert "NNPIPE_DEBUG" not in told, "it was not refused: something failed"
        assert seconds < SECONDS
        assert grown < MEMORY
        assert not list(tmp_path.rglob(f"*{TRAP}*")), "it was executed"

    return ask


@pytest.mark.parametrize("file", ASKED)
def test_what_is_spoilt_below_is_right_otherwise(file: str, right: Right, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(right.folder / file), str(right.folder / "x.npy")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_a_trap_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Trap()))
    assert list(tmp_path.rglob(f"*{TRAP}*"))


@pytest.mark.parametrize("case", EVERY)
def test_a_hostile_model_is_refused(case: str, right: Right, tmp_path: Path, refused: Any) -> None:
    file, spoil, words = EVERY[case]
    path = right.copy(file, tmp_path)
    spoil(path)
    refused(path, right.folder / "x.npy", words)


@pytest.mark.parametrize("case", GRAPHS)
def test_a_hostile_graph_is_refused(case: str, right: Right, tmp_path: Path, refused: Any) -> None:
    spoil, words = GRAPHS[case]
    path = right.copy("model.onnx", tmp_path)
    model = onnx.load(path)
    spoil(model)
    path.write_bytes(model.SerializeToString())
    refused(path, right.folder / "x.npy", words)


@pytest.mark.parametrize("file", ["model.onnx", "model.safetensors"])
@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document_of_no_network_is_refused(case: str, file: str, right: Right, tmp_path: Path, refused: Any) -> None:
    change, words = DOCUMENTS[case]
    path = right.copy(file, tmp_path)
    put_document(path, right.document, change)
    refused(path, right.folder / "x.npy", words)


@pytest.mark.parametrize("case", EXAMPLES)
def test_hostile_examples_are_refused(case: str, right: Right, tmp_path: Path, refused: Any) -> None:
    file, make, words = EXAMPLES[case]
    make(tmp_path / file)
    refused(right.folder / "model.onnx", tmp_path / file, words)
