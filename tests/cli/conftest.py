"""One small spec, carried out once for all tests of the command line; whoever changes the store takes a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nnpipe.cli import main

SPEC = """\
version: 1
name: tiny
data: {source: {kind: two_classes, samples: 60}}
model:
  layers:
    - {kind: dense, units: 4, activation: sigmoid}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: mean_squared_error, optimizer: {kind: sgd, learning_rate: 0.5}, epochs: 2, batch_size: 16}
visualize: []
export: [safetensors]
"""


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Nnpipe = Callable[..., Answer]


@pytest.fixture
def nnpipe(capsys: pytest.CaptureFixture[str]) -> Nnpipe:
    """Carries out a command line in this process."""

    def call(*words: str | Path) -> Answer:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.yaml`` and the store of its run; read only."""
    folder = tmp_path_factory.mktemp("computed")
    (folder / "tiny.yaml").write_text(SPEC)
    words = ["run", folder / "tiny.yaml", "--store", folder / "artifacts", "--engine", "local", "--quiet"]
    assert main([str(word) for word in words]) == 0
    return folder


@pytest.fixture
def copied(computed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``computed`` to change, as the current directory."""
    shutil.copytree(computed, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def here(computed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``computed`` as the current directory."""
    monkeypatch.chdir(computed)
    return computed
