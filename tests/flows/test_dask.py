"""Runs and sweeps on two Dask workers: processes of this machine that know the store and nothing else of this process.

One cluster serves all tests here. What workers do is what the local engine does, digest for digest.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import nnpipe
from flows import cluster as module
from flows.cluster import check_scheduler, local_cluster
from flows.train import quiet_terminal
from nnpipe.cli import main
from nnpipe.errors import DataError, Interrupted, NnpipeError, StageError, UsageError
from nnpipe.pipeline.run import Run
from nnpipe.stages.work import Silent

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
"""
MATRIX = """\
matrix:
  train.optimizer.learning_rate: [0.5, 0.05]
  seed: [0, 1, 2, 3]
"""
STAGES = ["ingest", "finetune", "evaluate", "visualize", "export", "report"]
LONG: Any = {"set": {"train.epochs": 60}, "until": "finetune", "checkpoint_every": 0}


def fakes() -> Any:
    return importlib.import_module("fake_stages")


@pytest.fixture(scope="module")
def address(prefect_server: str) -> Iterator[str]:
    """Of the scheduler of two workers."""
    with quiet_terminal(), local_cluster(2) as address:  # as ``run_fleet`` starts one
        yield address


@pytest.fixture
def on_workers(address: str) -> Iterator[Callable[..., Any]]:
    """Calls a function of ``fake_stages`` on every worker; what it changed is undone afterwards."""
    with Client(address, set_as_default=False) as client:
        yield client.run
        client.run(fakes().restored)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def run(spec: Path, address: str) -> Callable[..., Run]:
    def run(store: str = "dask", **options: Any) -> Run:
        options = {"engine": "dask", "address": address, "threads": 1, **options}
        return nnpipe.run(spec, store=spec.parent / store, **options)

    return run


def contents(run: Run) -> dict[str, tuple[str, str]]:
    return {stage.name: (stage.key, stage.content) for stage in run.stages}


def test_a_sweep_of_eight_runs_computes_once_what_they_share_and_equals_the_local_one_digest_for_digest(
    spec: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC + MATRIX)

    def swept(store: str, *words: str) -> Any:
        assert main(["sweep", str(spec), "--store", str(spec.parent / store), "--threads", "1", "--json", *words]) == 0
        return json.loads(capsys.readouterr().out)

    dask, local = swept("dask", "--engine", "dask", "--address", address), swept("local", "-q")
    statuses = Counter((stage["name"], stage["status"]) for run in dask["runs"] for stage in run["stages"])
    assert statuses[("ingest", "computed")] == 1
    assert statuses[("ingest", "reused")] == 7
    assert {(name, number) for (name, status), number in statuses.items() if status == "computed"} == {
        ("ingest", 1),
        *((name, 8) for name in STAGES[1:]),
    }
    assert dask["table"] == local["table"]
    for mine, theirs in zip(dask["runs"], local["runs"], strict=True):
        assert mine["metrics"] == theirs["metrics"]
        for told in ("name", "key", "content", "status"):
            assert [stage[told] for stage in mine["stages"]] == [stage[told] for stage in theirs["stages"]]
        record = json.loads(Path(spec.parent, "dask", "runs", f"{mine['run']}.json").read_text())
        assert (record["status"], record["stages"]) == ("done", mine["stages"])


def test_stages_that_do_not_need_each_other_run_on_two_workers_at_the_same_time_and_progress_comes_back(
    run: Callable[..., Run], on_workers: Callable[..., Any], tmp_path: Path
) -> None:
    # Each of the two waits until the other is there.
    on_workers(fakes().meet_elsewhere, ["visualize", "export"], str(tmp_path))
    heard = Heard()
    done = run(observer=heard)
    assert (tmp_path / "visualize").read_text() != (tmp_path / "export").read_text()
    finished = [name for what, name, _ in heard.events if what == "finished"]
    assert (finished[:3], finished[-1], sorted(finished)) == (STAGES[:3], "report", sorted(STAGES))
    epochs = [number for what, name, number in heard.events if (what, name) == ("epoch", "finetune")]
    assert epochs == [1, 2]
    assert heard.events.index(("epoch", "finetune", 2)) < heard.events.index(("finished", "finetune", "computed"))

    # The record is that of one run, whose lease is over.
    assert [stage.name for stage in done.stages] == STAGES
    assert done.artifact("finetune").id == done.store.refs["tiny/latest"]
    made = done.store.find(done.stages[1].key)
    assert made is not None
    assert made.made["run"] == done.run
    assert list((done.store.root / "live").iterdir()) == []


class Heard(Silent):
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []

    def started(self, stage: str) -> None:
        self.events.append(("started", stage, None))

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        self.events.append(("epoch", stage, int(record["epoch"])))

    def finished(self, stage: str, status: str, seconds: float) -> None:
        self.events.append(("finished", stage, status))


class AtTheThirdEpoch(Silent):
    """Does something once, when the third epoch is over; it is told whose process trains."""

    def __init__(self, store: Path, act: Callable[[int], object]) -> None:
        self._store, self._act, self.acted = store, act, False

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        if record["epoch"] >= 3 and not self.acted:
            self.acted = True
            (sign,) = self._store.glob("locks/*.owner")
            process = re.search(r"process (\d+)", sign.read_text())
            assert process is not None
            self._act(int(process[1]))


def test_what_a_killed_worker_did_goes_on_from_its_checkpoint_on_another_one(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    killer = AtTheThirdEpoch(tmp_path / "dask", lambda process: os.kill(process, signal.SIGKILL))
    done = run(observer=killer, **LONG)
    assert killer.acted
    assert [stage.status for stage in done.stages] == ["computed", "resumed"]
    assert contents(done) == contents(run("local", engine="local", address=None, **LONG))


def test_ctrl_c_stops_workers_with_a_checkpoint_and_the_next_run_goes_on_from_there(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    def press(process: int) -> None:
        os.kill(process, signal.SIGINT)  # as a terminal does: it reaches workers too, who leave it to us
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(observer=AtTheThirdEpoch(tmp_path / "dask", press), **LONG)
    (record,) = (tmp_path / "dask" / "runs").iterdir()
    assert json.loads(record.read_text())["status"] == "interrupted"
    assert list((tmp_path / "dask").glob("work/*/checkpoint-*")) != []
    assert [stage.status for stage in run(**LONG).stages] == ["reused", "resumed"]


def test_a_stage_that_fails_is_told_as_the_local_engine_tells_it_and_what_was_finished_is_kept(
    spec: Path, run: Callable[..., Run], on_workers: Callable[..., Any]
) -> None:
    on_workers(fakes().break_stage, "evaluate")
    with pytest.raises(DataError) as caught:
        run()
    assert str(caught.value) == str(fakes().PROBLEM)
    (record,) = (spec.parent / "dask" / "runs").iterdir()
    assert [stage["name"] for stage in json.loads(record.read_text())["stages"]] == ["ingest", "finetune"]
    on_workers(fakes().restored)
    assert [stage.status for stage in run(until="evaluate").stages] == ["reused", "reused", "computed"]


def test_a_failure_ends_a_sweep_if_that_was_asked_and_each_run_says_how_it_ended(
    spec: Path, address: str, on_workers: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC + "matrix: {seed: [0, 1]}\n")
    on_workers(fakes().break_stage, "evaluate")
    words = ["sweep", str(spec), "--store", str(spec.parent / "dask"), "--engine", "dask", "--address", address]
    assert main([*words, "--fail-fast", "--json"]) == 1
    said = capsys.readouterr()
    runs = json.loads(said.out)["runs"]
    assert {"failed"} <= {run["status"] for run in runs} <= {"failed", "interrupted"}
    assert fakes().PROBLEM.what in said.err
    records = [json.loads(path.read_text()) for path in (spec.parent / "dask" / "runs").glob("*.json")]
    assert {record["run"]: record["status"] for record in records}.items() >= {
        (run["run"], run["status"]) for run in runs
    }


def test_a_stage_of_which_every_worker_dies_has_failed(
    run: Callable[..., Run], address: str, on_workers: Callable[..., Any]
) -> None:
    on_workers(fakes().die_in, "evaluate")
    with Client(address, set_as_default=False) as client:
        client.run_on_scheduler(fakes().allow_failures, 0)
        with pytest.raises(StageError, match="evaluate: each worker that tried it died, 1 of them"):
            run()
        client.run_on_scheduler(fakes().allow_failures, 3)


def test_a_second_cluster_on_a_machine_does_not_get_in_the_way_of_the_first(address: str) -> None:
    with local_cluster(0) as another:  # that a port is taken would be a warning, which fails here
        assert another != address


def test_a_scheduler_that_does_not_answer_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    with pytest.raises(NnpipeError, match="no Dask scheduler answers") as caught:
        check_scheduler("tcp://127.0.0.1:9")
    assert caught.value.exit_status == 1
    for wrong in ("nonsense", "foo://127.0.0.1:9"):
        with pytest.raises(UsageError, match="not the address of a scheduler"):
            check_scheduler(wrong)


def test_without_its_packages_the_engine_says_how_to_install_them(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert main(["run", str(spec), "--store", str(spec.parent / "s"), "--engine", "dask"]) == 2
    assert "pip install 'nnpipe[dask]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--address", "tcp://127.0.0.1:9"], ["--jobs", "2"], ["--engine", "dask", "--address", "a:1", "--jobs", "2"]],
)
def test_options_of_workers_without_such_workers_are_a_mistake(
    spec: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(spec), "--store", str(spec.parent / "s"), *words]) == 2
    assert "--engine dask" in capsys.readouterr().err
