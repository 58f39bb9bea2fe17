"""How the flow treats its stages, with stages that meet, fail and wait as they are told."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture, wait
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.train import run_prefect
from nnpipe.errors import DataError, Interrupted
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.plan import Plan, PlannedStage
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import read_spec
from nnpipe.store.store import Store


class Started:
    """An observer that notes which stages were begun."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, stage: str) -> None:
        self.names.append(stage)

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None: ...
    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None: ...
    def waiting(self, stage: str, owner: str) -> None: ...

    def finished(self, stage: str, status: str, seconds: float) -> None: ...


Graph = dict[str, tuple[str, list[str]]]


def fakes() -> Any:
    return importlib.import_module("fake_stages")


@pytest.fixture
def executing(mini: Path, tmp_path: Path, prefect_server: str) -> Callable[[Graph], Execution]:
    """An execution of fake stages: name -> (what it does, the stages whose artifacts it reads)."""

    def executing(graph: Graph) -> Execution:
        stages = [
            Stage(name, "fake_stages:fake", fakes().Fake(does=does), {made_by: made_by for made_by in reads}, seed=0)
            for name, (does, reads) in graph.items()
        ]
        planned = tuple(PlannedStage(stage, "compute", None, None) for stage in stages)
        plan = Plan(read_spec(mini), Store(tmp_path / "store"), mini.parent, planned)
        return Execution(plan, Runtime(device="cpu", threads=1), Started())

    return executing


def written(execution: Execution) -> dict[str, Any]:
    record: dict[str, Any] = execution.plan.store.runs.get(execution.name)
    return record


def test_stages_that_do_not_need_each_other_run_at_the_same_time(executing: Callable[..., Execution]) -> None:
    # Each of the two waits until the other is there.
    execution = executing({"first": ("work", []), "left": ("meet", ["first"]), "right": ("meet", ["first"])})
    assert run_prefect(execution).status == "done"


def test_a_failure_is_raised_as_it_was_and_only_what_needs_it_is_left_out(
    executing: Callable[..., Execution], recorded: Callable[..., Any]
) -> None:
    execution = executing(
        {
            "first": ("work", []),
            "broken": ("fail", ["first"]),
            "needs it": ("work", ["broken"]),
            "needs that": ("work", ["needs it"]),
            "apart": ("work", ["first"]),
        }
    )
    with pytest.raises(DataError) as caught:
        run_prefect(execution)
    assert caught.value is fakes().PROBLEM
    assert sorted(execution.observer.names) == ["apart", "broken", "first"]
    assert set(execution.results) == {"first", "apart"}
    assert written(execution)["status"] == "failed"

    record = recorded(execution.name, 5)
    assert record.flow.state.is_failed()
    assert record.flow.state.message == record.tasks["broken"].state.message == str(caught.value)
    assert record.states["needs it"] == record.states["needs that"] == "NotReady"


def test_stopping_ends_the_run_as_interrupted_and_the_next_one_says_that_it_resumed(
    executing: Callable[..., Execution], recorded: Callable[..., Any]
) -> None:
    graph: Graph = {"first": ("wait", []), "second": ("work", ["first"])}
    stopped = executing(graph)
    stopper = Thread(target=lambda: fakes().waiting.wait(60) and stopped.stopping.set())
    stopper.start()
    with pytest.raises(Interrupted, match="stopped, as asked"):
        run_prefect(stopped)
    stopper.join()
    assert written(stopped)["status"] == "interrupted"
    record = recorded(stopped.name, 2)
    assert record.flow.state.is_cancelled()
    assert record.states == {"first": "Cancelled", "second": "NotReady"}

    resumed = executing(graph)
    run_prefect(resumed)
    assert recorded(resumed.name, 2).states == {"first": "Resumed", "second": "Completed"}


def test_a_signal_in_the_flow_stops_the_stages_under_way(
    executing: Callable[..., Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = executing({"first": ("wait", [])})
    calls = 0

    def interrupted_once(futures: list[PrefectFuture[Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            fakes().waiting.wait(60)
            raise TerminationSignal(signal.SIGTERM)
        wait(futures)

    fakes().waiting.clear()
    monkeypatch.setattr("flows.tasks.wait", interrupted_once)
    # Prefect hands the signal on to whoever handled it before.
    monkeypatch.setattr("os.kill", lambda process, number: None)
    with pytest.raises(Interrupted):
        run_prefect(execution)
    assert execution.stopping.is_set()
    assert written(execution)["status"] == "interrupted"
    assert calls == 2


def test_prefect_does_not_write_to_the_terminal(
    executing: Callable[..., Execution], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_LOGGING_LEVEL", raising=False)
    with pytest.raises(DataError):
        run_prefect(executing({"first": ("work", []), "broken": ("fail", ["first"])}))
    assert capfd.readouterr() == ("", "")


def test_where_the_server_is_away_the_run_goes_on_without_it_and_says_so(
    executing: Callable[..., Execution], capfd: pytest.CaptureFixture[str]
) -> None:
    execution = executing({"first": ("work", [])})
    away = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: away}):
        assert run_prefect(execution).status == "done"
    told = capfd.readouterr().err
    assert told.startswith("this run goes on without Prefect")
    assert away in told
    assert written(execution)["status"] == "done"
