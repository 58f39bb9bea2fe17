"""Whoever carries out a schedule, with processes that do as they are told: which run begins, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Cancelling, Running

from flows.deployment import deployment, register, remove
from flows.metrics import Metrics
from flows.serving import Serving
from flows.train import train, under_way
from nnpipe.errors import UsageError
from nnpipe.pipeline.event_log import EventLog
from nnpipe.pipeline.run import Run
from nnpipe.store.store import Store

from ..reliability.sweeps.schedules import make_folder, send_bad, send_good, trained


class Process:
    """A process of a run, as Serving sees it."""

    def __init__(self, run: UUID) -> None:
        self.run, self.asked, self._alive = run, False, True

    def is_alive(self) -> bool:
        return self._alive

    def terminate(self) -> None:
        self.asked = True

    def end(self) -> None:
        self._alive = False

    def close(self) -> None: ...

    kill = end


class Schedule:
    """A deployment that is served in a thread, and what its processes, its log and its metrics are."""

    def __init__(self, spec: Path, folder: Path, client: SyncPrefectClient) -> None:
        self.name, self.client, self.store = f"of-{uuid4().hex[:8]}", client, Store(folder / "store")
        self.id, _ = register(deployment(spec, name=self.name, interval=3600, store=self.store.root))
        self.processes: list[Process] = []
        self.said, self.stopping = StringIO(), Event()
        self.metrics = Metrics("mini", self.store)
        self.problem: BaseException | None = None
        # Prefect's settings are in the context.
        self._thread = Thread(target=copy_context().run, args=(self._serve,))

    def due(self) -> UUID:
        return self.client.create_flow_run_from_deployment(self.id).id

    def start(self, *, attempt: int = 1) -> Process:
        """Begin to serve, and wait for the process of a run."""
        self.serve()
        return self.process(attempt)

    def serve(self) -> None:
        self._thread.start()

    def process(self, number: int) -> Process:
        until(lambda: len(self.processes) >= number)
        return self.processes[number - 1]

    def stop(self) -> None:
        self.stopping.set()
        until(self.ended)

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def run(self, id_: UUID) -> FlowRun:
        return self.client.read_flow_run(id_)

    def state(self, id_: UUID) -> tuple[str | None, str | None]:
        run = self.run(id_)
        return run.state_name, run.state.message if run.state else None

    def record(self, id_: UUID, status: str, *stages: str) -> str:
        """The record of a run in the store, with the flow run called as it is."""
        name = self.store.runs.name("mini")
        self.client.set_flow_run_name(id_, name)
        made = [{"name": f"s{n}", "key": "", "status": each, "seconds": 1.0, "artifact": "a", "content": "c"}
                for n, each in enumerate(stages)]  # fmt: skip
        self.store.runs.put(
            {"run": name, "spec": "mini", "status": status, "stages": made, "metrics": {"test_accuracy": 0.5},
             "report": None, "seconds": 2.0, "started": "2026-01-01T00:00:00+00:00", "error": "it broke"}
        )  # fmt: skip
        return name

    def _serve(self) -> None:
        def start(run: UUID) -> Any:
            self.client.set_flow_run_state(run, Running())
            self.processes.append(Process(run))
            return self.processes[-1]

        log = EventLog(self.said)
        try:
            Serving(self.id, "mini", self.store, log, self.metrics, look=0.05, keep_runs=3, start=start).serve(
                self.stopping
            )
        except BaseException as error:
            self.problem = error


def until(so: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def schedule(mini: Path, tmp_path: Path, client: SyncPrefectClient) -> Iterator[Schedule]:
    made = Schedule(mini, tmp_path, client)
    yield made
    made.stopping.set()
    while not made.ended():
        for process in made.processes:
            process.end()
        time.sleep(0.02)


def runs(schedule: Schedule) -> dict[str, float]:
    """How many there were by outcome, as Prometheus is told."""
    text = schedule.metrics.text().decode()
    lines = [line for line in text.splitlines() if line.startswith("nnpipe_runs_total")]
    return {line.split('outcome="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


def test_of_several_runs_that_are_due_the_last_is_done_and_the_others_are_left_out(schedule: Schedule) -> None:
    first, second, last = schedule.due(), schedule.due(), schedule.due()
    process = schedule.start()
    assert process.run == last
    for left_out in (first, second):
        until(lambda run=left_out: schedule.state(run)[0] == "Cancelled")
        assert "the run that was due last" in str(schedule.state(left_out)[1])
    assert "2 runs, the first due at " in schedule.said.getvalue()
    assert runs(schedule) == {"skipped": 2}


def test_a_run_that_is_due_while_one_is_under_way_is_left_out(schedule: Schedule) -> None:
    schedule.due()
    schedule.start()
    late = schedule.due()
    until(lambda: schedule.state(late)[0] == "Cancelled")
    assert schedule.state(late)[1] == "left out: another run is under way"
    assert len(schedule.processes) == 1


def test_a_run_that_is_recorded_but_was_not_reported_is_reported(schedule: Schedule) -> None:
    run = schedule.due()
    process = schedule.start()
    schedule.record(run, "done", "computed", "reused")
    process.end()
    until(lambda: schedule.state(run)[0] == "Completed")
    assert schedule.state(run)[1] == "1 computed, 1 reused, test_accuracy 0.5000"
    until(lambda: runs(schedule) == {"done": 1})


def test_a_run_that_failed_in_the_store_fails_in_prefect(schedule: Schedule) -> None:
    run = schedule.due()
    process = schedule.start()
    schedule.record(run, "failed", "computed")
    process.end()
    until(lambda: schedule.state(run) == ("Failed", "it broke"))
    until(lambda: runs(schedule) == {"failed": 1})


def test_a_run_whose_process_dies_is_begun_again_but_not_for_ever(schedule: Schedule) -> None:
    run = schedule.due()
    schedule.serve()
    for attempt in (1, 2, 3):
        process = schedule.process(attempt)
        assert process.run == run
        process.end()
    until(lambda: schedule.state(run)[0] == "Crashed")
    assert schedule.state(run)[1] == "its process ended 3 times before it was done"
    until(lambda: runs(schedule) == {"crashed": 1})


def test_a_run_that_outlived_whoever_began_it_is_waited_for(schedule: Schedule) -> None:
    run = schedule.due()
    schedule.client.set_flow_run_state(run, Running(), force=True)
    schedule.store.prepare()
    with schedule.store.claim(under_way(schedule.id), "another process"):
        schedule.serve()
        late = schedule.due()
        until(lambda: schedule.state(late)[0] == "Cancelled")
        assert schedule.state(run)[0] == "Running"
        schedule.record(run, "done", "reused")
    until(lambda: schedule.state(run) == ("Completed", "nothing new: 1 stage reused"))
    assert schedule.processes == []


def test_stopping_ends_the_run_under_way_which_goes_on_when_it_is_served_again(schedule: Schedule) -> None:
    run = schedule.due()
    process = schedule.start()
    schedule.stopping.set()
    until(lambda: process.asked)
    schedule.record(run, "interrupted", "computed")
    process.end()
    schedule.stop()
    assert schedule.state(run) == ("Scheduled", "was interrupted, and goes on from its checkpoint")
    assert runs(schedule) == {}


def test_a_run_that_is_cancelled_in_prefect_is_asked_to_stop(schedule: Schedule) -> None:
    run = schedule.due()
    process = schedule.start()
    schedule.client.set_flow_run_state(run, Cancelling())
    until(lambda: process.asked)
    schedule.record(run, "interrupted", "computed")
    process.end()
    until(lambda: schedule.state(run) == ("Cancelled", "cancelled; a checkpoint is kept"))


def test_removing_a_schedule_ends_whoever_serves_it_with_the_run_under_way(schedule: Schedule) -> None:
    schedule.due()
    process = schedule.start()
    remove(schedule.name)
    until(lambda: "the schedule was removed" in schedule.said.getvalue())
    assert not process.asked
    process.end()
    until(schedule.ended)
    assert schedule.problem is None


def test_a_schedule_is_served_by_one_process_only(schedule: Schedule, mini: Path) -> None:
    schedule.due()
    schedule.start()
    other = Serving(schedule.id, "mini", schedule.store, EventLog(StringIO()), schedule.metrics)
    with pytest.raises(UsageError, match="served already"):
        other.serve(Event())


def test_a_server_that_is_away_is_told_once_and_asked_until_it_answers(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = SyncPrefectClient.read_deployment, iter(range(4))

    def away(self: SyncPrefectClient, *arguments: Any) -> Any:
        if next(failures, None) is not None:
            raise httpx.ConnectError("refused")
        return real(self, *arguments)

    monkeypatch.setattr(SyncPrefectClient, "read_deployment", away)
    schedule.due()
    schedule.start()
    assert schedule.said.getvalue().count("does not answer") == 1
    until(lambda: "answers again" in schedule.said.getvalue())
    assert schedule.metrics.health()[0]


def test_old_records_of_the_spec_go_and_those_of_what_a_ref_names_stay(schedule: Schedule) -> None:
    run = schedule.due()
    process = schedule.start()
    kept = schedule.record(run, "done", "computed")
    schedule.store.refs["mini/champion"] = "a"
    schedule.record(run, "done")
    newest = [schedule.record(run, "done") for _ in range(3)]
    process.end()
    until(lambda: runs(schedule) == {"done": 1})
    until(lambda: len(list(schedule.store.runs.newest_first())) == 4)
    assert [each["run"] for each in schedule.store.runs.newest_first()] == [*reversed(newest), kept]


# -- the flow, as a process of a schedule carries it out -----------------------------------------------------


def carried_out(schedule: Schedule) -> FlowRun:
    run = schedule.due()
    run_flow(train, flow_run=schedule.run(run), return_type="state")
    return schedule.run(run)


def test_a_run_in_which_nothing_is_new_says_so(schedule: Schedule, mini: Path) -> None:
    made = deployment(mini, name=schedule.name, store=schedule.store.root, until="ingest")
    schedule.id, _ = register(made)
    first = carried_out(schedule)
    assert first.state_name == "Completed"
    assert first.state is not None
    assert first.state.message == "1 computed"
    second = carried_out(schedule)
    assert second.state is not None
    assert second.state.message == "nothing new: 1 stage reused"
    (record,) = [each for each in schedule.store.runs.newest_first() if each["run"] == second.name]
    assert Run.of_record(record, schedule.store).told == "nothing new: 1 stage reused"
    assert record["seconds"] < 1


def test_a_run_of_a_deployment_is_left_out_where_another_is_under_way_in_the_same_store(schedule: Schedule) -> None:
    schedule.store.prepare()
    with schedule.store.claim(under_way(schedule.id), "run of yesterday, process 1"):
        run = carried_out(schedule)
    assert run.state_name == "Cancelled"
    assert run.state is not None
    assert run.state.message == "left out: run of yesterday, process 1 is under way"
    assert list(schedule.store.runs.newest_first()) == []


def test_a_folder_that_gets_images_twice_in_ten_runs_is_learnt_twice_more_and_the_better_network_promoted(
    tmp_path: Path, client: SyncPrefectClient
) -> None:
    """With a server and processes of its own, some of which are killed: reliability/sweeps/schedule_kills.py."""
    make_folder(tmp_path, epochs=20)
    spec = tmp_path / "shades.yaml"
    spec.write_text(spec.read_text().replace("optimizer: adam", "optimizer: {kind: adam, learning_rate: 0.02}"))
    schedule, sent = Schedule(spec, tmp_path, client), {3: send_good, 7: send_bad}
    made = deployment(spec, name=schedule.name, store=schedule.store.root, until="evaluate")
    schedule.id, _ = register(made)
    for number in range(10):
        sent.get(number, lambda _: None)(tmp_path)
        assert carried_out(schedule).state_name == "Completed"

    records = list(schedule.store.runs.newest_first())[::-1]
    assert [number for number, record in enumerate(records) if trained([record])] == [0, 3, 7]
    first, better, worse = trained(records)
    assert [number for number, record in enumerate(records) if record["promotion"]["promoted"]] == [0, 3]
    assert [record["promotion"]["champion"] for record in records] == [first] * 3 + [better] * 7
    assert "the champion's 1.0000: worse by" in records[7]["promotion"]["reasons"][0]
    assert (schedule.store.refs["shades/champion"], schedule.store.refs["shades/latest"]) == (better, worse)
