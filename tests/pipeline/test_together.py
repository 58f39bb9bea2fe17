"""What the first process of a team tells the others, and what they make of it; the team is played by a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from nnpipe.errors import Interrupted, StageError, UsageError
from nnpipe.models.architecture import Model
from nnpipe.pipeline import memory
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.precision import device_key, memo_key
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.together import run_joining, run_leading
from nnpipe.spec.part import identity
from nnpipe.store.store import Store
from nnpipe.training.team import Team
from nnpipe.training.train import Train

from .conftest import plan, run

UNTIL = {"until": "finetune"}
SOFTMAX = {"kind": "dense", "units": 3, "activation": "softmax"}


class Played(Team):
    """A team of two of which the other is not there: what it would be told is kept; what it would tell is given."""

    def __init__(self, rank: int, *tasks: dict[str, Any]) -> None:
        super().__init__(None, rank, 2, rank, 2)  # type: ignore[arg-type]
        self.told, self.errors = list(tasks), list[Exception]()

    def tell(self, task: dict[str, Any]) -> None:
        self.told.append(task)

    dismiss = tell

    def next(self, stopping: Event) -> dict[str, Any]:
        return self.told.pop(0)

    @contextmanager
    def together(self, device: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(error)
            raise


def lead(store: Store, team: Team, *overrides: str) -> Any:
    return run_leading(Execution(plan(store, *overrides, **UNTIL), Runtime(device="cpu", threads=1, team=team)), team)


def join(store: Store, team: Team) -> Any:
    return run_joining(plan(store, **UNTIL), Runtime(device="cpu", threads=1, team=team), team, Event())


def test_a_network_that_cannot_be_shared_is_trained_by_the_first_process_which_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    team, store = Played(0), Store(tmp_path)
    alone = ["train.loss=mean_squared_error", "train.optimizer=levenberg_marquardt", "train.batch_size=full"]
    alone += ["train.epochs=1", "pretrain=null", "model.layers.0.units=2", "model.layers.1.units=2"]
    done = lead(store, team, *alone)
    assert "finetune is done by one process of 2: levenberg_marquardt needs the residuals" in capsys.readouterr().err
    assert team.told == [{"status": "done", "run": done.run}]
    record = store.find(done.stages[-1].key)
    assert record
    assert record.made["processes"] == 1


def test_the_others_are_told_how_a_run_ended_that_failed(tmp_path: Path) -> None:
    team = Played(0)
    with pytest.raises(StageError):
        lead(Store(tmp_path), team, "data.scaling=none", "pretrain.method=rbm")
    assert team.told == [{"status": "failed"}]


def test_whoever_joins_gets_the_run_that_the_first_process_recorded(tmp_path: Path) -> None:
    done = run(Store(tmp_path), **UNTIL)
    joined = join(Store(tmp_path), Played(1, {"status": "done", "run": done.run}))
    assert (joined.run, joined.stages) == (done.run, done.stages)


@pytest.mark.parametrize(("status", "error"), [("failed", StageError), ("interrupted", Interrupted)])
def test_whoever_joins_ends_as_the_first_process_does(tmp_path: Path, status: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="the first process"):
        join(Store(tmp_path), Played(1, {"status": status}))


def test_whoever_has_other_code_or_another_spec_does_not_join(tmp_path: Path) -> None:
    ingredients = {"stage": "finetune", "seed": 7, "inputs": {}}
    team = Played(1, {"stage": "finetune", "key": "k", "ingredients": ingredients, "inputs": {}}, {"status": "failed"})
    with pytest.raises(StageError, match="the first process failed"):
        join(Store(tmp_path), team)
    (error,) = team.errors
    assert "another seed of stage finetune than that of the first process" in str(error)
    assert "found     " + str(plan(Store(tmp_path))["finetune"].stage.seed) in str(error)


def test_what_auto_comes_to_is_decided_by_the_first_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.memo.put(device_key(), "cpu")
    store.memo.put(memo_key("cpu"), {"processor": "Abacus 3", "float32": 1.0, "bfloat16": 1.0})
    ours = plan(store, "train.precision=auto", **UNTIL)
    assert [decision.precision for decision in ours.decisions] == ["float32"]
    theirs = identity(plan(store, "train.precision=bfloat16", **UNTIL)["finetune"].stage.config)
    ingredients = {"config": theirs, "seed": 7, "inputs": {}}
    team = Played(1, {"stage": "finetune", "key": "k", "ingredients": ingredients, "inputs": {}}, {"status": "failed"})
    with pytest.raises(StageError, match="the first process failed"):
        run_joining(ours, Runtime(device="cpu", threads=1, team=team), team, Event())
    assert "another seed" in str(team.errors[0])  # and no other config


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Runtime(team=Played(1)).resolve_device() == "cuda:1"
    assert Runtime().resolve_device() == "cuda"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="too few GPUs"):
        Runtime(team=Played(1)).resolve_device()
    assert Runtime("cpu", team=Played(1)).resolve_device() == "cpu"


def test_the_processes_of_a_machine_divide_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 80)
    assert Runtime().resolve_memory("cpu") == 20
    assert Runtime(team=Played(0)).resolve_memory("cpu") == 10


@pytest.mark.parametrize(
    ("layers", "train", "reason"),
    [
        (
            [SOFTMAX],
            {"loss": "mean_squared_error", "optimizer": "levenberg_marquardt", "batch_size": "full"},
            "residuals of whole batches",
        ),
        (
            [{"kind": "classification_rbm", "hidden": 2, "classes": 3}],
            {"algorithm": "up_down", "optimizer": "sgd"},
            "draws",
        ),
        (
            [{"kind": "residual", "layers": [{"kind": "custom", "class": "own.Layer"}]}, SOFTMAX],
            {},
            "custom layer may draw",
        ),
        ([SOFTMAX], {"optimizer": "conjugate_gradient"}, None),
        ([{"kind": "dropout", "rate": 0.5}, "batch_norm", SOFTMAX], {}, None),
    ],
)
def test_what_needs_whole_batches_is_not_shared(layers: list[Any], train: dict[str, Any], reason: str | None) -> None:
    found = Train.model_validate(train).alone(Model.model_validate({"layers": layers}))
    assert found is None if reason is None else reason in str(found)
