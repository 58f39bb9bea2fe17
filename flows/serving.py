"""Carrying out the runs of a schedule: one at a time, each in a process of its own, until asked to stop.

Prefect's own ``serve`` would end the run under way where the server is away for long, and start runs of which nobody
heard for as often as they were due. Here what the store recorded counts, and Prefect is told of it when it can be.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from threading import Event
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Scheduled

from flows.scheduled import carry_out
from flows.states import words
from flows.train import under_way
from nnpipe.errors import UsageError
from nnpipe.pipeline.run import Run
from nnpipe.store.history import forget_runs

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import OrchestrationResult
    from prefect.client.schemas.responses import FlowRunResponse

    from flows.metrics import Metrics
    from nnpipe.pipeline.event_log import EventLog
    from nnpipe.store.store import Store

ATTEMPTS = 3  # that a run has, if its process dies each time
BEGUN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
OUTCOMES = {
    StateType.COMPLETED: "done",
    StateType.FAILED: "failed",
    StateType.CANCELLED: "skipped",
    StateType.CRASHED: "crashed",
}
# Modules that no result depends on, imported once for all runs: everything of nnpipe is imported anew for each.
PRELOADED = ["prefect.flow_engine", "prefect.task_engine", "prefect.task_runners", "prefect.events.worker"]


def start_process(flow_run: UUID) -> BaseProcess:
    """A process that carries out a flow run; where that is safe, forked from one that has imported Prefect."""
    process: BaseProcess
    if sys.platform == "linux":
        multiprocessing.set_forkserver_preload(PRELOADED)
        process = multiprocessing.get_context("forkserver").Process(target=carry_out, args=(flow_run,))
    else:
        process = multiprocessing.get_context("spawn").Process(target=carry_out, args=(flow_run,))
    process.start()
    return process


class Serving:
    """Whoever carries out the runs of one deployment.

    look: seconds between two looks at what is due.
    keep_runs: how many records of runs of ``spec`` stay in the store.
    start: begins a run in a process.
    """

    def __init__(
        self,
        deployment: UUID,
        spec: str,
        store: Store,
        log: EventLog,
        metrics: Metrics,
        *,
        look: float = 1.0,
        keep_runs: int = 1000,
        start: Callable[[UUID], BaseProcess] = start_process,
    ) -> None:
        self._deployment, self._spec, self._store = deployment, spec, store
        self._log, self._metrics, self._start = log, metrics, start
        self._look, self._keep_runs = look, keep_runs
        self._process: BaseProcess | None = None
        self._begun: set[UUID] | None = None  # runs to be looked after when they are over; None before the first look
        self._attempts: Counter[UUID] = Counter()
        self._cancelled: set[UUID] = set()
        self._stopping = False
        self._away = False

    def serve(self, stopping: Event, lost: Event | None = None) -> None:
        """Carry out what is due, until ``stopping`` is set, the server is ``lost`` for good, or the deployment removed.

        If it is asked to stop, so is the run under way, which keeps a checkpoint and goes on when the deployment is
        served again; else that run is done first.

        Raises:
            UsageError: somebody serves it already.
        """
        # Whoever asks has other things to do than to wait for a server that is away.
        with (
            self._alone(),
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": 10.0}, sync_client=True) as client,
        ):
            try:
                while not _any(stopping, lost) and self._answered(lambda: self._step(client)):
                    self._wait(stopping)
                self._end(client, stopping)
            finally:
                if self._busy_here() and self._process:
                    self._process.kill()

    # -- what is to be done ------------------------------------------------------------------------------------

    def _step(self, client: SyncPrefectClient) -> None:
        client.read_deployment(self._deployment)
        if self._begun is None:
            self._begun = {run.id for run in self._runs(client)}
        busy = self._busy()
        if not busy:
            self._settle_all(client)
        self._hand_on_cancelling(client)
        due = client.get_scheduled_flow_runs_for_deployments([self._deployment], scheduled_before=datetime.now(UTC))
        chosen = None if busy else max(due, key=_due_at, default=None)
        self._leave_out(client, [run for run in due if run is not chosen], busy=busy)
        if chosen:
            self._begin(client, chosen)

    def _begin(self, client: SyncPrefectClient, run: FlowRunResponse) -> None:
        answer: OrchestrationResult[None] = client.set_flow_run_state(run.id, Pending())
        if answer.status.name == "ACCEPT":  # else somebody else has it
            self._begun = {run.id, *(self._begun or ())}
            self._attempts[run.id] += 1
            self._process = self._start(run.id)

    def _leave_out(self, client: SyncPrefectClient, runs: list[FlowRunResponse], *, busy: bool) -> None:
        why = "another run is under way" if busy else "the run that was due last is done in its place"
        for run in runs:
            client.set_flow_run_state(run.id, Cancelled(message=f"left out: {why}"), force=True)
            self._metrics.ended("skipped")
        if runs:
            first = f"{min(map(_due_at, runs)).astimezone():%Y-%m-%d %H:%M:%S}"
            told = (
                f"the run due at {first} is" if len(runs) == 1 else f"{len(runs)} runs, the first due at {first}, are"
            )
            self._log.write("skipped", f"{told} left out: {why}", status="skipped", runs=len(runs))

    def _hand_on_cancelling(self, client: SyncPrefectClient) -> None:
        """Ask the process of a run to stop that somebody cancelled in Prefect's UI."""
        if self._process is None:
            return
        for run in self._runs(client):
            if run.state_type == StateType.CANCELLING and run.id not in self._cancelled:
                self._cancelled.add(run.id)
                self._process.terminate()

    def _settle_all(self, client: SyncPrefectClient) -> None:
        for run in list(self._begun or ()):
            self._settle(client, run)

    def _settle(self, client: SyncPrefectClient, id_: UUID) -> None:
        """Let Prefect know of a run that is over what the store knows; count it."""
        run = client.read_flow_run(id_)
        record = self._store.runs.get(run.name)
        done = Run.of_record(record, self._store) if record else None
        state = self._last_state(run, done, str(record["error"]) if record else "")
        if state:
            client.set_flow_run_state(id_, state, force=True)
        self._begun = (self._begun or set()) - {id_}
        last = state or run.state
        if last is None or last.type == StateType.SCHEDULED:
            self._log.write("interrupted", f"{run.name} {last.message if last else ''}", level="warning", run=run.name)
            return
        self._metrics.ended(done.status if done else OUTCOMES[last.type], done)
        if last.type == StateType.CRASHED:
            self._log.write("error", f"{run.name} crashed: {last.message}", level="error", run=run.name)
        forget_runs(self._store, self._keep_runs, self._spec)

    def _last_state(self, run: FlowRun, done: Run | None, error: str) -> State | None:
        """What Prefect should say of a run that is over; None: what it says already. ``error``: of the record."""
        state = run.state
        if run.id in self._cancelled or (state and state.is_cancelling()):
            return Cancelled(message="cancelled; a checkpoint is kept")
        if done and done.status != "interrupted":
            told: State = Completed(message=words(done)) if done.status == "done" else Failed(message=error)
            return None if state and state.type == told.type else told
        asked = self._stopping and state and state.is_crashed()
        if done is None and state and state.is_final() and not asked:
            return None
        attempts = max(run.run_count, self._attempts[run.id])
        if attempts >= ATTEMPTS and not self._stopping:
            return Crashed(message=f"its process ended {attempts} times before it was done")
        return Scheduled(message="was interrupted, and goes on from its checkpoint")

    # -- waiting, and the end ----------------------------------------------------------------------------------

    def _busy(self) -> bool:
        """Whether a run is under way: ours, or one that outlived whoever started it."""
        return self._busy_here() or self._store.busy(under_way(self._deployment))

    def _busy_here(self) -> bool:
        if self._process is not None and not self._process.is_alive():
            self._process.close()
            self._process = None
        return self._process is not None

    def _wait(self, stopping: Event) -> None:
        """Wait for the next look; not longer than for the end of the run under way, which may be long awaited."""
        until, alive = time.monotonic() + self._look, self._process is not None
        while time.monotonic() < until and not stopping.wait(0.1):
            if alive and self._process and not self._process.is_alive():
                return

    def _end(self, client: SyncPrefectClient, stopping: Event) -> None:
        while self._busy_here():
            if stopping.is_set() and not self._stopping:
                self._stopping = True
                assert self._process is not None
                self._process.terminate()
            time.sleep(0.1)
        if not self._busy():
            self._answered(lambda: self._settle_all(client))

    # -- Prefect's server --------------------------------------------------------------------------------------

    def _answered(self, ask: Callable[[], None]) -> bool:
        """Whether there is more to do: no, if the deployment is gone. A server that is away may come back."""
        try:
            ask()
        except ObjectNotFound:
            self._log.write("schedule", "the schedule was removed", level="warning")
            return False
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if not self._away:
                told = "Prefect's server does not answer; a run under way goes on, and no other begins until it does"
                self._log.write("server", f"{told}: {error or type(error).__name__}", level="warning")
            self._away = True
        else:
            if self._away:
                self._log.write("server", "Prefect's server answers again")
            self._away = False
        self._metrics.looked(server=not self._away)
        return True

    def _runs(self, client: SyncPrefectClient) -> list[FlowRun]:
        """Those that began and did not end, as far as Prefect knows."""
        chosen = FlowRunFilter(deployment_id={"any_": [self._deployment]}, state={"type": {"any_": BEGUN}})
        return client.read_flow_runs(flow_run_filter=chosen)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._store.prepare()
        with self._store.claim(f"serving-{self._deployment}", f"process {os.getpid()}") as other:
            if other:
                raise UsageError("this schedule is served already", where=str(self._store.root), found=f"by {other}")
            yield


def _any(*events: Event | None) -> bool:
    return any(event.is_set() for event in events if event)


def _due_at(run: FlowRunResponse) -> datetime:
    return run.next_scheduled_start_time or run.expected_start_time or datetime.max.replace(tzinfo=UTC)
