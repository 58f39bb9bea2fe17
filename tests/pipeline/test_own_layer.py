"""A spec with a layer of the user's own, from planning to the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nnpipe.cli import main
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import read_spec
from nnpipe.store.store import Store

SPEC = """\
version: 1
name: own
data: {source: {kind: two_classes, samples: 120}}
model:
  layers:
    - {kind: residual, layers: [{kind: custom, class: mine.layers.Scaled, options: {width: 2}}]}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: mean_squared_error, epochs: 1, batch_size: 50}
visualize: [decision_boundary]
export: [safetensors, weights_h5]
"""
LAYERS = """\
from torch import nn

from mine.deep import helper


class Scaled(nn.Linear):
    def __init__(self, width):
        super().__init__(width, width)

    def forward(self, x):
        return helper.TWICE * super().forward(x)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "own.yaml").write_text(SPEC)
    (tmp_path / "mine" / "layers.py").write_text(LAYERS)
    (tmp_path / "mine" / "deep" / "helper.py").write_text("TWICE = 2.0\n")
    return tmp_path


def plan(folder: Path) -> Plan:
    return make_plan(read_spec(folder / "own.yaml"), Store(folder / "artifacts"), folder)


def run(folder: Path) -> Run:
    return run_local(Execution(plan(folder), Runtime(device="cpu", threads=1)))


def to_compute(folder: Path) -> list[str]:
    return [planned.stage.name for planned in plan(folder).stages if planned.status != "reuse"]


def test_a_helper_two_imports_away_makes_training_run_again_and_a_comment_does_not(folder: Path) -> None:
    first = run(folder)
    assert first.status == "done"
    assert to_compute(folder) == []
    helper = folder / "mine" / "deep" / "helper.py"
    helper.write_text("TWICE = 2.0  # times as much\n")
    assert to_compute(folder) == []
    helper.write_text("TWICE = 3.0\n")
    assert to_compute(folder) == ["finetune", "evaluate", "visualize", "export", "report"]
    helper.write_text("TWICE = 2.0\n")
    again = {stage.name: stage.status for stage in run(folder).stages}
    assert set(again.values()) == {"reused"}
    told = subprocess.run(
        [sys.executable, "-c", PLANNING, str(folder)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == "[]"


PLANNING = """
import sys
from nnpipe.cli import main
assert main(["plan", sys.argv[1] + "/own.yaml", "--store", sys.argv[1] + "/artifacts"]) == 0
print(sorted({"torch", "numpy", "mine"} & set(sys.modules)))
"""


def test_an_artifact_alone_is_not_exported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    (folder / "mine" / "layers.py").write_text("raise SystemExit('imported')\n")
    words = ["export", "own/latest", "--format", "onnx", "--out", str(folder / "x.onnx")]
    assert main([*words, "--store", str(folder / "artifacts")]) == 1
    told = capsys.readouterr().err
    assert "class mine.layers.Scaled" in told
    assert "under 'export' in the network's spec" in told
    assert not (folder / "x.onnx").exists()


def test_a_gate_is_asked_by_who_runs_the_spec_and_a_record_alone_imports_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.yaml").write_text(SPEC + "promote: {latency_ms: 1000}\n")
    assert run(folder).promotion["promoted"] is True
    (folder / "mine" / "layers.py").write_text("raise SystemExit('imported')\n")
    assert main(["promote", "own/latest", "--to", "other", "--store", str(folder / "artifacts")]) == 1
    told = capsys.readouterr().out
    assert "no   latency cannot be measured: a file cannot say whose code is run" in told
    assert "class mine.layers.Scaled" in told


def test_a_wrong_option_is_a_mistake_of_the_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.yaml").write_text(SPEC.replace("width: 2", "widht: 2"))
    assert main(["plan", str(folder / "own.yaml"), "--store", str(folder / "artifacts")]) == 2
    told = capsys.readouterr().err
    assert "own.yaml:6:" in told
    assert "did you mean 'width'?" in told
