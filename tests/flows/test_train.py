"""A real spec through Prefect: what its server shows, and that the results are those of the local engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.train import run_prefect, train
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.run import Run

STAGES = ["ingest", "pretrain/1", "finetune", "evaluate", "visualize", "export", "report"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def first(execution: Callable[..., Execution], store: Path, prefect_server: str) -> Run:
    return run_prefect(execution(store))


@pytest.fixture(scope="module")
def second(execution: Callable[..., Execution], store: Path, first: Run) -> Run:
    """The same with another number of epochs: what comes before the fine-tuning is reused."""
    return run_prefect(execution(store, "train.epochs=1"))


def test_every_stage_is_a_task_with_its_name(first: Run, recorded: Callable[..., Any]) -> None:
    assert recorded(first.run, len(STAGES)).states == dict.fromkeys(STAGES, "Completed")


def test_a_task_is_given_references_to_the_artifacts_it_reads(first: Run, recorded: Callable[..., Any]) -> None:
    tasks = recorded(first.run, len(STAGES)).tasks
    read = {str(given.id) for given in tasks["finetune"].task_inputs["inputs"]}
    assert read == {str(tasks["ingest"].id), str(tasks["pretrain/1"].id)}


def test_the_flow_run_is_named_as_the_run_and_tells_how_it_went(first: Run, recorded: Callable[..., Any]) -> None:
    flow = recorded(first.run, len(STAGES)).flow
    assert flow.state_name == "Completed"
    assert f"test_accuracy {first.metrics['test_accuracy']:.4f}" in flow.state.message
    assert f"report {first.report}" in flow.state.message


def test_the_parameters_of_the_flow_run_are_the_whole_spec(second: Run, recorded: Callable[..., Any]) -> None:
    parameters = recorded(second.run, len(STAGES)).flow.parameters
    assert parameters["spec"]["train"]["epochs"] == 1
    assert parameters["spec"]["train"]["optimizer"]["learning_rate"] == 0.001  # a default
    assert parameters["device"] == "cpu"


def test_a_reused_stage_is_shown_as_cached_with_its_artifact(second: Run, recorded: Callable[..., Any]) -> None:
    record = recorded(second.run, len(STAGES))
    reused = {stage.name: stage for stage in second.stages if stage.status == "reused"}
    assert set(reused) == {"ingest", "pretrain/1"}
    assert {name for name, state in record.states.items() if state == "Cached"} == set(reused)
    assert reused["ingest"].artifact[:12] in record.tasks["ingest"].state.message
    assert record.tasks["ingest"].state.is_completed()


def test_both_engines_give_the_same_content(first: Run, execution: Callable[..., Execution], tmp_path: Path) -> None:
    def contents(run: Run) -> dict[str, str]:
        return {stage.name: stage.content for stage in run.stages}

    assert contents(run_local(execution(tmp_path))) == contents(first)


def test_prefect_keeps_no_results(first: Run, second: Run, prefect_home: Path) -> None:
    assert [path for path in prefect_home.rglob("*") if "storage" in path.parts] == []


def test_the_deployed_flow_reads_the_spec_and_executes_it(
    mini: Path, first: Run, recorded: Callable[..., Any], tmp_path: Path
) -> None:
    train(str(mini), store=str(tmp_path), overrides=("data.seed=1",), until="ingest", return_state=True)
    (run,) = (path.stem for path in (tmp_path / "runs").glob("*.json"))
    record = recorded(run, 1)
    assert record.states == {"ingest": "Completed"}
    assert record.flow.parameters["overrides"] == ["data.seed=1"]


def test_the_deployed_flow_tells_a_mistake_in_the_spec_in_one_message(prefect_server: str, tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text("version: 1\nname: wrong\nmodle: 3\n")
    state = train(str(spec), store=str(tmp_path / "store"), return_state=True)
    assert state.is_failed()
    assert "wrong.yaml:3" in state.message
    assert "modle" in state.message
