"""A stage that another process carries out: what it is told is enough, and stays what was planned."""

from __future__ import annotations

import pickle
from pathlib import Path
from threading import Event

import pytest

from nnpipe.errors import Interrupted, StageError
from nnpipe.pipeline.compute import Unforeseen
from nnpipe.pipeline.elsewhere import Failure, carry_out, order
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import StageResult
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import check_spec
from nnpipe.spec.document import Document
from nnpipe.stages.work import Silent
from nnpipe.store.store import Store

SPEC = {
    "version": 1,
    "name": "tiny",
    "data": {"source": {"kind": "two_classes", "samples": 60}},
    "model": {
        "layers": [
            {"kind": "dense", "units": 4, "activation": "sigmoid"},
            {"kind": "dense", "units": 1, "activation": "sigmoid"},
        ]
    },
    "train": {
        "loss": "mean_squared_error",
        "optimizer": {"kind": "sgd", "learning_rate": 0.5},
        "epochs": 1,
        "batch_size": 16,
    },
}
CHILD = SPEC | {
    "name": "child",
    "train": {**SPEC["train"], "start": {"from": "tiny/latest", "layers": 1, "missing": "fresh"}},
}


def begin(store: Path, spec: dict = SPEC, **options) -> Execution:
    checked = check_spec(Document("spec", dict(spec)), (), store.parent)
    plan = make_plan(checked, Store(store), store.parent, until="finetune", **options)
    return Execution(plan, Runtime(device="cpu", threads=1))


def elsewhere(execution: Execution, stage: str, stopping: Event | None = None) -> StageResult | Failure:
    """What another process answers that is told so much, and no more."""
    told = pickle.loads(pickle.dumps(order(execution, stage)))
    return pickle.loads(pickle.dumps(carry_out(told, Silent(), stopping or Event())))


def test_stages_carried_out_elsewhere_make_a_run_like_any_other(tmp_path):
    execution = begin(tmp_path / "elsewhere")
    for stage in ("ingest", "finetune"):
        execution.accept(elsewhere(execution, stage))
    run, local = execution.finish(), run_local(begin(tmp_path / "local"))
    assert [(s.name, s.key, s.status, s.content) for s in run.stages] == [
        (s.name, s.key, s.status, s.content) for s in local.stages
    ]
    assert run.store.refs["tiny/latest"] == run.stages[1].artifact
    assert run.store.find(run.stages[1].key).made["run"] == run.run


def test_a_stage_is_computed_again_where_that_was_asked_and_what_comes_before_it_is_not(tmp_path):
    run_local(begin(tmp_path / "store"))
    execution = begin(tmp_path / "store", force=["finetune"])
    assert [elsewhere(execution, stage).status for stage in ("ingest", "finetune")] == ["reused", "computed"]


def test_it_starts_from_what_a_ref_meant_when_the_run_was_planned(tmp_path):
    fresh = begin(tmp_path / "store", CHILD)  # planned when there was nothing to start from
    first = run_local(begin(tmp_path / "store"))
    planned = begin(tmp_path / "store", CHILD)
    second = run_local(begin(tmp_path / "store", SPEC | {"seed": 7}))
    store = second.store
    assert store.refs["tiny/latest"] == second.stages[1].artifact != first.stages[1].artifact

    started = elsewhere(planned, "finetune")
    assert store.find(started.key).made["inputs"]["start"] == first.stages[1].artifact
    assert "start" not in store.find(elsewhere(fresh, "finetune").key).made["inputs"]


def test_a_failure_is_an_answer_with_the_error_and_where_it_happened(tmp_path, monkeypatch):
    def broken(config, work):
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr("nnpipe.stages.ingest.ingest", broken)
    failure = elsewhere(begin(tmp_path / "store"), "ingest")
    assert isinstance(failure, Failure)
    error = pickle.loads(pickle.dumps(failure.error))  # as it comes from there
    assert isinstance(error, Unforeseen)
    assert error.what == "stage ingest failed: ZeroDivisionError: no such luck"
    assert "in broken" in error.traceback


def test_one_that_was_told_to_stop_does_not_begin(tmp_path):
    stopping = Event()
    stopping.set()
    failure = elsewhere(begin(tmp_path / "store"), "ingest", stopping)
    assert isinstance(failure.error, Interrupted)


def test_what_was_made_in_another_store_is_refused(tmp_path):
    elsewhere_made = elsewhere(begin(tmp_path / "theirs"), "ingest")
    with pytest.raises(StageError, match="not in the store") as caught:
        begin(tmp_path / "ours").accept(elsewhere_made)
    assert "same store" in caught.value.hint


def test_what_auto_came_to_is_told_by_what_another_process_makes(tmp_path):
    execution = begin(tmp_path / "store", SPEC | {"train": {**SPEC["train"], "precision": "auto"}})
    made = elsewhere(execution, "finetune")
    assert isinstance(made, StageResult)
    record = execution.plan.store.find(made.key)
    assert record.made["precision"] == ["train.precision auto -> float32: mean_squared_error needs it"]
    assert record.recipe["config"]["train"]["precision"] == "float32"
