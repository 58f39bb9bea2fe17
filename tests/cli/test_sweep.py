"""``nnpipe sweep``: a small family of runs, computed once for all tests; whoever changes its store takes a copy."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event

import pytest

import nnpipe
from nnpipe.cli import main, progress
from nnpipe.cli.sweep import result_table
from nnpipe.pipeline.sweep import read_family
from nnpipe.spec.document import Document
from nnpipe.stages.work import Silent
from nnpipe.store.lease import held
from nnpipe.store.store import Store
from nnpipe.sweeps import worker
from nnpipe.sweeps.member import Settings
from nnpipe.sweeps.members import Members

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
matrix:
  train.optimizer.learning_rate: [0.5, 0.05]
  seed: [0, 1]
"""
RATE = "train.optimizer.learning_rate"
SWEEP = ("sweep", "tiny.yaml", "--threads", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "tiny.yaml").write_text(SPEC)
    assert main(["sweep", str(folder / "tiny.yaml"), "--store", str(folder / "artifacts"), "-q", "--threads", "1"]) == 0
    return folder


@pytest.fixture
def swept(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a finished sweep, as the current directory."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the spec alone, as the current directory."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def computed(told) -> list[str]:
    return [stage["name"] for run in told["runs"] for stage in run["stages"] if stage["status"] != "reused"]


def digests(told) -> list[list[tuple[str, str, str]]]:
    return [[(s["name"], s["key"], s["content"]) for s in run["stages"]] for run in told["runs"]]


def test_what_runs_share_is_computed_once_and_nothing_the_second_time(nnpipe, fresh):
    first = nnpipe(*SWEEP, "--json")
    assert first.status == 0, first.err
    assert computed(first.json).count("ingest") == 1
    assert computed(first.json).count("finetune") == 4
    again = nnpipe(*SWEEP, "--json").json
    assert computed(again) == []
    assert again["report"] == first.json["report"]
    assert again["table"] == first.json["table"]


def test_json_tells_runs_table_and_report(nnpipe, swept):
    answer = nnpipe(*SWEEP, "--json")
    told = answer.json
    assert set(told) == {"sweep", "spec", "runs", "table", "report", "seconds"}
    assert len(answer.out.splitlines()) == 1
    assert [run["overrides"] for run in told["runs"]] == [
        {RATE: rate, "seed": seed} for rate in (0.5, 0.05) for seed in (0, 1)
    ]
    for run in told["runs"]:
        assert {"overrides", "run", "status", "metrics", "stages"} <= set(run)
        kept = json.loads(Path("artifacts/runs", run["run"] + ".json").read_text())
        assert (kept["spec"], kept["metrics"], kept["stages"]) == ("tiny", run["metrics"], run["stages"])
    assert [row[RATE] for row in told["table"]] == [0.5, 0.05]
    accuracies = [run["metrics"]["test_accuracy"] for run in told["runs"][:2]]
    assert told["table"][0]["test_accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert told["table"][0]["test_accuracy"]["n"] == 2
    assert Path(told["report"]).is_file()
    assert nnpipe("show", told["sweep"], "--json").json["stages"][0]["name"] == "sweep"


def test_the_terminal_shows_each_run_and_the_table(nnpipe, swept):
    out = nnpipe(*SWEEP).out
    assert f"[3/4] {RATE}=0.05, seed=0" in out
    header, *rows = out.splitlines()[-6:-3]
    assert header.split() == ["learning_rate", "test", "accuracy", "test", "loss", "n"]
    assert [row.split()[0] for row in rows] == ["0.5", "0.05"]
    assert out.splitlines()[-1].startswith("report artifacts/objects/")


@pytest.mark.parametrize("columns", [200, 60, 30])
def test_the_table_fits_any_terminal(swept, columns):
    rows = from_python(swept).rows
    lines = result_table(rows, columns)
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith(("0.05 ", "learning_rate 0.05")) for line in lines) == 1


def from_python(folder: Path, **options):
    return nnpipe.sweep(folder / "tiny.yaml", store=folder / "artifacts", threads=1, **options)


def test_another_seed_computes_only_that_seed(nnpipe, swept):
    told = nnpipe(*SWEEP, "--set", "matrix.seed=[0, 1, 2]", "--json").json
    assert sorted(computed(told)) == sorted(2 * ["finetune", "evaluate", "visualize", "export", "report"])
    assert [row["test_loss"]["n"] for row in told["table"]] == [3, 3]
    assert {run["overrides"]["seed"] for run in told["runs"] if run["stages"][1]["status"] == "computed"} == {2}


def test_measures_can_be_chosen_and_the_table_be_written_as_csv(nnpipe, swept):
    answer = nnpipe(*SWEEP, "--metric", "test_macro_f1", "--csv", "out.csv", "--json")
    assert set(answer.json["table"][0]) == {RATE, "test_macro_f1"}
    header, first, _ = csv.reader(Path("out.csv").read_text().splitlines())
    assert header == [RATE, "test_macro_f1_mean", "test_macro_f1_std", "test_macro_f1_n"]
    assert float(first[1]) == answer.json["table"][0]["test_macro_f1"]["mean"]
    assert Path(answer.json["report"]).with_name("table.csv").read_text() == Path("out.csv").read_text()
    wrong = nnpipe(*SWEEP, "--metric", "test_acuracy")
    assert wrong.status == 2
    assert "did you mean 'test_accuracy'?" in wrong.err


def test_members_promote_nobody_and_call_no_hooks_and_neither_is_in_a_key(nnpipe, swept):
    with Path("tiny.yaml").open("a") as file:
        file.write("promote: true\nhooks: {success: [{command: touch hooked}]}\n")
    before = nnpipe("show", "tiny/sweep", "--json").json["key"]
    assert nnpipe(*SWEEP, "--json", "--quiet").status == 0
    assert nnpipe("show", "tiny/sweep", "--json").json["key"] == before
    assert not Path("hooked").exists()
    assert not Path("artifacts/moves").exists()


def test_runs_leave_latest_alone_and_the_report_has_a_ref(nnpipe, swept):
    store = Store(swept / "artifacts")
    assert store.refs.names() == ["tiny/sweep"]
    report = nnpipe("report", "tiny/sweep").out.strip()
    assert Path(report).parent.name == store.refs["tiny/sweep"]
    assert "stage     sweep" in nnpipe("show", "tiny/sweep").out


def test_gc_keeps_what_the_report_was_made_from(nnpipe, swept):
    before = Store(swept / "artifacts").artifacts()
    assert nnpipe("gc", "--grace", "0", "--keep-runs", "0").status == 0
    assert Store(swept / "artifacts").artifacts() == before
    Store(swept / "artifacts").refs["tiny/other"] = Store(swept / "artifacts").refs["tiny/sweep"]
    (swept / "artifacts/refs/tiny/sweep").unlink()
    (swept / "artifacts/refs/tiny/other").unlink()
    nnpipe("gc", "--grace", "0", "--keep-runs", "0")
    assert Store(swept / "artifacts").artifacts() == []


def test_a_dry_run_tells_what_is_shared_and_computes_nothing(nnpipe, fresh):
    lines = nnpipe(*SWEEP, "--dry-run").out.splitlines()
    assert lines[0].split() == ["stage", "combinations", "different", "reuse", "resume", "compute"]
    assert lines[1].split() == ["ingest", "4", "1", "0", "0", "1"]
    assert lines[2].split() == ["finetune", "4", "4", "0", "0", "4"]
    assert lines[-1] == "4 combinations; 21 of 21 stages to do; 3 are shared"
    told = nnpipe(*SWEEP, "--dry-run", "--json").json
    assert (told["combinations"], told["stages"][0]["different"]) == (4, 1)
    assert not (fresh / "artifacts").exists()


def test_two_processes_compute_what_one_does(nnpipe, swept):
    words = (*SWEEP, "--set", f"matrix.{RATE}=[0.5]", "--json")
    alone = nnpipe(*words).json
    answer = nnpipe(*words, "--jobs", "2", "--store", "beside")
    assert answer.status == 0, answer.err
    assert digests(answer.json) == digests(alone)
    assert computed(answer.json).count("ingest") == 1
    stores = Store(swept / "artifacts"), Store(swept / "beside")
    one, other = (store.artifact(store.refs["tiny/sweep"]).manifest.content for store in stores)
    assert one == other
    assert "[2/2] finetune   epoch 2/2" in answer.err


def test_a_run_that_fails_stops_no_other_and_is_told(nnpipe, fresh, monkeypatch):
    broken_for_rate(monkeypatch, 0.05)
    answer = nnpipe(*SWEEP, "--json")
    assert answer.status == 1
    assert [run["status"] for run in answer.json["runs"]] == ["done", "done", "failed", "failed"]
    assert "ZeroDivisionError: at 0.05" in answer.json["runs"][2]["error"]
    assert answer.json["table"][1]["test_loss"] == {"mean": None, "std": None, "n": 0}
    assert f"{RATE}=0.05, seed=1: failed: stage finetune failed" in answer.err
    assert "of which 2 failed" in Path(answer.json["report"]).read_text()


def test_with_fail_fast_the_first_failure_ends_it(nnpipe, fresh, monkeypatch):
    broken_for_rate(monkeypatch, 0.5)
    answer = nnpipe(*SWEEP, "--json", "--fail-fast")
    assert answer.status == 1
    assert [run["status"] for run in answer.json["runs"]] == ["failed", "not run", "not run", "not run"]
    assert answer.json["report"] is None
    assert Store(fresh / "artifacts").refs.names() == []


def broken_for_rate(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    from nnpipe.stages import finetune

    def broken(config, work):
        if config.train.optimizer.learning_rate == rate:
            raise ZeroDivisionError(f"at {rate}")
        whole(config, work)

    whole = finetune.finetune
    monkeypatch.setattr(finetune, "finetune", broken)


def test_a_process_that_dies_fails_its_run_and_another_takes_its_place(fresh, monkeypatch):
    class Killed(worker.Worker):
        """Its first process is killed before it begins."""

        seen = 0

        def carry_out(self, *words):
            Killed.seen += 1
            if Killed.seen == 1:
                self.kill()
            return super().carry_out(*words)

    monkeypatch.setattr(worker, "Worker", Killed)
    family = read_family(Document.read(Path("tiny.yaml")), ["matrix.seed=[0]"], fresh)
    store = Store(fresh / "artifacts")
    members = Members(family, store, Settings(threads=1), lambda *_: nullcontext(Silent()), Event(), fail_fast=False)
    members.side_by_side(1)
    assert [answer.status for answer in members.answers] == ["failed", "done"]
    assert members.answers[0].error == "its process ended with status -9"
    assert members.ended


def test_an_interrupted_sweep_says_how_to_go_on_and_goes_on(nnpipe, fresh, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(progress.Lines, "epoch", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        answer = nnpipe(*SWEEP)
    assert answer.status == 130
    assert answer.err.splitlines()[-1] == f"interrupted; go on with: nnpipe {' '.join(SWEEP)}"
    told = nnpipe(*SWEEP, "--json").json
    assert [stage["status"] for stage in told["runs"][0]["stages"][:2]] == ["reused", "resumed"]
    assert {run["status"] for run in told["runs"]} == {"done"}


LONG = ("--set", "train.epochs=1000000", "--set", "matrix.seed=[0]", "--set", f"matrix.{RATE}=[0.5]")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_no_process_outlives_the_sweep(fresh, number):
    command = [sys.executable, "-m", "nnpipe", *SWEEP, *LONG, "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        while "epoch" not in process.stdout.readline():
            pass  # until it is in the middle of training
        process.send_signal(number)
        while process.stdout.readline():
            pass
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(map(held, leases := [*Path("artifacts/live").glob("*.lock")])) and time.monotonic() < deadline:
        time.sleep(0.05)  # a run that is stopping, in a process whose parent is gone
    assert not any(map(held, leases))
    assert [*Path("artifacts/work").glob("*/checkpoint-*")]


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_spec_with_a_matrix_is_no_single_run(nnpipe, swept, verb):
    answer = nnpipe(verb, "tiny.yaml")
    assert answer.status == 2
    assert "tiny.yaml:10:1" in answer.err
    assert "nnpipe sweep tiny.yaml" in answer.err


def test_mistakes_are_told_before_anything_runs(nnpipe, fresh):
    for words in (("--set", f"matrix.{RATE}=[0.1, -1]"), ("--jobs", "0"), ("--csv", "no/where.csv")):
        answer = nnpipe(*SWEEP, *words)
        assert answer.status == 2
        assert answer.out == ""
    assert not (fresh / "artifacts").exists()


def test_validate_checks_every_combination(nnpipe, fresh):
    assert nnpipe("validate", "tiny.yaml").out == "tiny.yaml: ok (4 combinations)\n"
    Path("tiny.yaml").write_text(SPEC.replace("[0.5, 0.05]", "[0.5, fast]"))
    answer = nnpipe("validate", "tiny.yaml")
    assert answer.status == 2
    assert "tiny.yaml:11:40: train.optimizer.learning_rate: not what belongs here" in answer.err


def test_the_schema_knows_the_matrix(nnpipe):
    properties = json.loads(nnpipe("schema").out)["properties"]
    assert properties["matrix"]["additionalProperties"]["minItems"] == 1


def test_a_sweep_with_nothing_to_do_loads_nothing_heavy(swept):
    program = "import sys; from nnpipe.cli import main; s = main(sys.argv[1:]); sys.exit(s or ' '.join(sys.modules))"
    command = [sys.executable, "-c", program, "sweep", "tiny.yaml", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "nnpipe" in loaded
    assert not loaded & {"torch", "prefect", "matplotlib", "sklearn", "numpy", "rich"}


def test_python_gives_rows_runs_and_csv(swept):
    done = from_python(swept, metrics=["test_loss"])
    assert [row.values for row in done.rows] == [{RATE: 0.5}, {RATE: 0.05}]
    assert done.rows[0].measures["test_loss"].n == 2
    assert done.to_csv().splitlines()[0] == f"{RATE},test_loss_mean,test_loss_std,test_loss_n"
    assert done.failed == []
    member, answer = done.runs[1]
    assert (member.overrides["seed"], answer.status, answer.metrics["test_loss"]) == (
        1,
        "done",
        answer.metrics["test_loss"],
    )
