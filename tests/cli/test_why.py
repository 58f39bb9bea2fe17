"""``nnpipe why`` and ``diff``; and that an edit of nnpipe's own code is seen, named, and computes what it must."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nnpipe as package

RUN = ("run", "tiny.yaml", "--engine", "local", "--quiet", "--threads", "1")
RATE = ("--set", "train.optimizer.learning_rate=0.25")


def explained(nnpipe, stage: str, *words: str) -> Any:
    answer = nnpipe("why", "tiny.yaml", stage, *words, "--json")
    assert answer.status == 0
    return answer.json


# -- why -----------------------------------------------------------------------------------------------------


def test_a_reused_stage_is_told_with_what_it_is_reused_from(nnpipe, here):
    made = nnpipe("show", "tiny", "--json").json
    told = explained(nnpipe, "finetune")
    assert (told["status"], told["key"], told["artifact"]) == ("reuse", made["key"], made["artifact"])
    assert told["made"]["run"] == made["made"]["run"]
    assert told["causes"] == []
    first, *rest = nnpipe("why", "tiny.yaml", "finetune").out.splitlines()
    assert first == "finetune would be reused: nothing that determines it has changed"
    assert made["key"][:10] in rest[0]
    assert made["artifact"][:10] in rest[1]
    assert rest[2].endswith(f"by run {made['made']['run']}")


def test_a_changed_field_is_named_with_both_values(nnpipe, here):
    out = nnpipe("why", "tiny.yaml", "finetune", *RATE).out
    assert out.startswith("finetune would be computed: its recipe is new\n  nearest   recipe ")
    assert out.endswith("\n    config field train.optimizer.learning_rate: 0.5 -> 0.25\n")


def test_a_stage_that_waits_is_explained_by_the_stage_that_it_waits_for(nnpipe, here):
    told = explained(nnpipe, "report", *RATE)
    assert (told["status"], told["key"]) == ("compute", None)
    assert set(told["waits_for"]) == {"finetune", "evaluate", "visualize", "export"}
    (cause,) = told["causes"]
    assert (cause["stage"], cause["reason"]) == ("finetune", "changed")
    assert [each["name"] for each in cause["differences"]] == ["train.optimizer.learning_rate"]
    out = nnpipe("why", "tiny.yaml", "export", *RATE).out
    assert out.splitlines()[0] == "export would be computed: it reads finetune, evaluate, to be computed first"


def test_what_was_never_computed_is_told_as_such(nnpipe, here, tmp_path):
    told = explained(nnpipe, "evaluate", "--store", str(tmp_path / "new"))
    assert [(cause["stage"], cause["reason"]) for cause in told["causes"]] == [("ingest", "new")]
    out = nnpipe("why", "tiny.yaml", "ingest", "--store", tmp_path / "new").out
    assert out == "ingest would be computed: this store has no ingest yet\n"
    assert not (tmp_path / "new").exists()


def test_data_that_are_not_here_are_told(nnpipe, here, monkeypatch, tmp_path):
    monkeypatch.setenv("NNPIPE_DATA", str(tmp_path))
    spec = Path("tiny.yaml").read_text().replace("{source: {kind: two_classes, samples: 60}}", "{source: mnist}")
    spec = spec.replace("units: 1, activation: sigmoid", "units: 10, activation: softmax")
    spec = spec.replace("mean_squared_error", "cross_entropy").replace("  layers:\n", "  layers:\n    - flatten\n")
    (tmp_path / "mnist.yaml").write_text(spec)
    answer = nnpipe("why", tmp_path / "mnist.yaml", "finetune", "--store", "artifacts")
    assert answer.out.splitlines()[1] == "ingest would be computed: its data are not here yet: a run fetches them"


@pytest.mark.parametrize("reason", ["gone", "damaged"])
def test_a_lost_artifact_is_told_as_such(nnpipe, copied, reason):
    model = nnpipe("show", "tiny", "--json").json
    if reason == "gone":
        shutil.rmtree(model["directory"])
    else:
        (Path(model["directory"]) / "model.safetensors").write_bytes(b"something else")
    (cause,) = explained(nnpipe, "finetune")["causes"]
    assert (cause["reason"], cause["key"], cause["differences"]) == (reason, model["key"], [])
    assert f"it was computed before, but its artifact is {reason}" in nnpipe("why", "tiny.yaml", "finetune").out


def test_a_stage_under_way_would_go_on(nnpipe, copied):
    key = explained(nnpipe, "finetune", *RATE)["key"]
    (copied / "artifacts/work" / key).mkdir(parents=True)
    (copied / "artifacts/work" / key / "checkpoint-1").touch()
    assert nnpipe("why", "tiny.yaml", "finetune", *RATE).out.startswith("finetune would go on from a checkpoint: ")


def test_an_unknown_stage_is_a_usage_error_with_the_nearest(nnpipe, here):
    answer = nnpipe("why", "tiny.yaml", "finetuning")
    assert answer.status == 2
    assert "did you mean 'finetune'?" in answer.err


# -- diff ----------------------------------------------------------------------------------------------------


def test_a_run_does_not_differ_from_itself(nnpipe, here):
    run = nnpipe("ls", "--json").json["runs"][0]["run"]
    for name in (run, "tiny", "tiny/latest", nnpipe("show", "tiny", "--json").json["artifact"][:8]):
        told = nnpipe("diff", run, name, "--json").json
        assert (told["a"], told["b"]) == (run, run)
        assert {stage["same"] for stage in told["stages"]} == {"artifact"}
        assert {each["difference"] for each in told["metrics"].values()} == {0}
        assert told["environment"] == []


def test_two_runs_are_compared_stage_by_stage(nnpipe, copied):
    old = nnpipe("ls", "--json").json["runs"][0]
    new = nnpipe(*RUN, *RATE, "--json").json
    change_environment(copied / "artifacts/runs" / f"{old['run']}.json")
    told = nnpipe("diff", old["run"], "tiny", "--json").json
    assert (told["a"], told["b"]) == (old["run"], new["run"])
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert stages["ingest"]["same"] == "artifact"
    assert stages["finetune"]["same"] is None
    assert [each["text"] for each in stages["finetune"]["differences"]] == [
        "config field train.optimizer.learning_rate: 0.5 -> 0.25"
    ]
    assert [each["name"] for each in stages["export"]["differences"]] == [
        "train.optimizer.learning_rate",
        "evaluation",
        "model",
    ]
    loss = told["metrics"]["test_loss"]
    assert loss["difference"] == new["metrics"]["test_loss"] - old["metrics"]["test_loss"] != 0
    assert [(each["name"], each["a"]) for each in told["environment"]] == [("versions.torch", "0.1")]
    out = nnpipe("diff", old["run"], new["run"]).out
    for text in ("ingest      same artifact ", "learning_rate: 0.5 -> 0.25", "test_loss", "versions.torch  0.1"):
        assert text in out


def change_environment(path: Path) -> None:
    run = json.loads(path.read_text())
    run["environment"]["versions"]["torch"] = "0.1"
    path.write_text(json.dumps(run))


def test_a_stage_that_one_run_lacks_and_a_recipe_that_is_gone_are_told(nnpipe, copied):
    old = nnpipe("ls", "--json").json["runs"][0]["run"]
    nnpipe(*RUN, *RATE, "--until", "finetune")
    shutil.rmtree(nnpipe("show", "tiny/latest", "--json").json["directory"])
    lines = nnpipe("diff", old, "tiny").out.splitlines()
    assert any(line.startswith("finetune ") and line.endswith("; a recipe is no longer in the store") for line in lines)
    assert "evaluate    only in a" in lines


def test_the_same_recipe_with_another_result_is_told(nnpipe, copied):
    run = json.loads(next((copied / "artifacts/runs").glob("*.json")).read_text())
    for stage in run["stages"]:
        stage.update(artifact="0" * 64, content="f" * 64)
    (copied / "artifacts/runs/elsewhere.json").write_text(json.dumps({**run, "run": "elsewhere"}))
    out = nnpipe("diff", run["run"], "elsewhere").out
    assert out.count(" -> ffffffffff, though the recipe is the same") == 6


def test_what_no_run_made_is_a_usage_error(nnpipe, copied):
    answer = nnpipe("diff", "tiny", "nothing-like-this")
    assert (answer.status, "nothing is called" in answer.err) == (2, True)
    for path in (copied / "artifacts/runs").glob("*.json"):
        path.unlink()
    answer = nnpipe("diff", "tiny", "tiny")
    assert (answer.status, "no run made tiny" in answer.err) == (2, True)


# -- the code of nnpipe itself -------------------------------------------------------------------------------

PRETRAINED = """\
version: 1
name: pretrained
data: {source: digits}
model:
  layers:
    - {kind: dense, units: 8, activation: sigmoid}
    - {kind: dense, units: 6, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: rbm, layers: 2, epochs: 1, batch_size: 100}
train: {epochs: 1, batch_size: 100}
visualize: []
"""
HELPER = "nnpipe/pretraining/boltzmann_machine.py"  # imported by what the method imports
DRIVEN = "return self.hidden_units.mean(self.hidden_input(v))"


def call(folder: Path, *words: str) -> str:
    """What the copy of nnpipe in ``folder`` prints."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nnpipe", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def planned(folder: Path) -> dict[str, str]:
    stages = json.loads(call(folder, "plan", "spec.yaml", "--until", "finetune", "--json"))["stages"]
    return {stage["name"]: stage["status"] for stage in stages}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of nnpipe, a spec and its store; read only."""
    folder = tmp_path_factory.mktemp("own")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(package.__file__).parent, folder / "nnpipe", ignore=ignored)
    (folder / "spec.yaml").write_text(PRETRAINED)
    run = ("run", "spec.yaml", "--until", "finetune", "--engine", "local", "--quiet", "--threads", "1")
    call(folder, *run)
    return folder


@pytest.fixture
def editable(own: Path, tmp_path: Path) -> Path:
    return shutil.copytree(own, tmp_path / "own")


def edit(folder: Path, before: str, after: str) -> None:
    source = (folder / HELPER).read_text()
    assert source.count(before) == 1
    (folder / HELPER).write_text(source.replace(before, after))


def test_an_edited_helper_two_imports_away_computes_what_depends_on_it_and_is_named(editable):
    assert set(planned(editable).values()) == {"reuse"}
    edit(editable, DRIVEN, DRIVEN.replace("(v)", "(v.mul(1))"))
    compute = dict.fromkeys(("pretrain/1", "pretrain/2", "finetune"), "compute")
    assert planned(editable) == {"ingest": "reuse", **compute}
    told = json.loads(call(editable, "why", "spec.yaml", "finetune", "--json"))
    (cause,) = told["causes"]
    assert cause["stage"] == "pretrain/1"
    assert [each["text"] for each in cause["differences"]] == [
        f"code {HELPER}, function BoltzmannMachine.hidden_probabilities changed"
    ]


def test_a_comment_and_another_layout_compute_nothing(editable):
    after = "# As Hinton says.\n        return self.hidden_units.mean(\n            self.hidden_input( v )\n        )"
    edit(editable, DRIVEN, after)
    assert set(planned(editable).values()) == {"reuse"}


def test_what_a_layer_has_for_itself_is_named_as_the_spec_says_it(own):
    out = call(own, "why", "spec.yaml", "pretrain/2", "--set", "pretrain.per_layer={2: {epochs: 2}}")
    assert "config field pretrain.per_layer.2.epochs: 1 -> 2" in out
    out = call(own, "why", "spec.yaml", "pretrain/1", "--set", "pretrain.epochs=2")
    assert "config field pretrain.epochs: 1 -> 2" in out


# -- another run's weights -----------------------------------------------------------------------------------


def test_another_runs_network_is_an_input_like_any_other(nnpipe, copied):
    text = Path("tiny.yaml").read_text().replace("name: tiny", "name: other")
    Path("other.yaml").write_text(text.replace("epochs: 2", "epochs: 2, start: {from: tiny/latest}"))
    assert nnpipe(RUN[0], "other.yaml", *RUN[2:]).status == 0
    assert nnpipe("plan", "other.yaml").out.count("reuse") == 6
    nnpipe(*RUN, "--set", "seed=1")
    out = nnpipe("why", "other.yaml", "finetune").out
    assert out.startswith("finetune would be computed: its recipe is new\n")
    assert "\n    input start: content " in out
    for command in (("plan", "other.yaml"), ("why", "other.yaml", "finetune"), (RUN[0], "other.yaml", *RUN[2:])):
        refused = nnpipe(*command, "--set", "train.start.from=tiny/last")
        assert refused.status == 2
        assert "error: train.start.from, in artifacts: nothing is called 'tiny/last'" in refused.err
        assert "did you mean 'tiny/latest'?" in refused.err
