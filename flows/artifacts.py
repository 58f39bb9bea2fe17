"""What stages leave in Prefect's UI: a page each, and a progress bar for those that take long.

All is written by a thread of its own, one request at a time, so that nobody who computes waits for the server. Where
it does not answer, the run goes on without, which is said once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.markdown import key, run_page, stage_page
from nnpipe.pipeline.event_log import warn
from nnpipe.plots import words
from nnpipe.stages.work import UNTOLD, Audience, Silent

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.run import Run, StageResult

LONG = 3.0  # seconds that a stage has been under way before it gets a progress bar
APART = 1.0  # seconds between two looks at progress
TIMEOUT = 5.0  # seconds for a request, and for what is still to be written when a run is over


@dataclass
class Progress:
    """How far a stage has come, as last told.

    epoch: how many are over, of ``epochs``; None while unknown: a resumed stage tells with its first record.
    share: of the epoch under way, or of the whole where there are no epochs.
    ended: the status that it ended with.
    artifact: Prefect's, once there is one; written: what it says.
    """

    epochs: int
    epoch: int | None
    task: UUID | None
    since: float
    share: float = 0.0
    measures: Mapping[str, float] | None = None
    ended: str | None = None
    artifact: UUID | None = None
    written: tuple[float, str] | None = None

    def long(self, now: float) -> bool:
        """Whether it is worth a progress bar."""
        under_way = self.ended is None and now - self.since >= LONG and (self.share > 0 or self.measures is not None)
        return under_way or self.artifact is not None

    def told(self) -> tuple[float, str]:
        """Percent, and words: ``3 of 10 epochs, loss 0.42``."""
        done = (self.epoch or 0) + self.share
        percent = 100 * min(1.0, done / self.epochs if self.epochs else done)
        epochs = [f"{self.epoch} of {self.epochs} epochs"] if self.epochs and self.epoch is not None else []
        measures = [f"{words.kind(name)} {words.number(value)}" for name, value in (self.measures or {}).items()]
        told = ", ".join([*([self.ended] if self.ended else []), *epochs, *measures])
        return 100.0 if self.ended in ("computed", "resumed") else round(percent, 1), told or "under way"


class Artifacts(Silent):
    """An observer of one execution that keeps its pages and progress bars in Prefect, while ``written`` is entered.

    tasks: stage -> the task that carries it out, where that is not the one that tells.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self.tasks: dict[str, UUID] = {}
        self._waiting: SimpleQueue[Callable[[SyncPrefectClient], object] | None] = SimpleQueue()
        self._progress: dict[str, Progress] = {}
        self._lock, self._gone = Lock(), False
        self._flow: UUID | None = None
        self._looked = 0.0  # at progress, for the last time

    @contextmanager
    def written(self) -> Iterator[None]:
        """Within it, in a flow, what is told is written; it ends when all is, or after some seconds."""
        context = FlowRunContext.get()
        self._flow = context.flow_run.id if context and context.flow_run else None
        before = self._execution.observer
        self._execution.observer = Audience(before, self)
        # The thread needs to know which server there is: that is in the context.
        thread = Thread(target=copy_context().run, args=(self._write_all,), name="artifacts for Prefect", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._execution.observer = before
            self._waiting.put(None)
            thread.join(TIMEOUT)
            if thread.is_alive():
                self._give_up(f"its server did not answer within {TIMEOUT:g} s")

    # -- what is told ----------------------------------------------------------------------------------------

    def started(self, stage: str) -> None:
        planned, task = self._execution.plan[stage], self._task(stage)
        epoch = None if planned.status == "resume" else 0
        with self._lock:
            self._progress[stage] = Progress(planned.stage.epochs, epoch, task, time.monotonic())

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        measures = {name: value for name, value in record.items() if name not in UNTOLD}
        with self._lock:
            progress = self._progress[stage]
            progress.epoch, progress.epochs, progress.share = int(record["epoch"]), epochs, 0.0
            progress.measures = measures

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        with self._lock:
            self._progress[stage].share = done / max(total, 1)

    def finished(self, stage: str, status: str, seconds: float) -> None:
        with self._lock:
            self._progress[stage].ended = status

    def made(self, result: StageResult) -> None:
        """Leave a page on what a stage made. Called in its task, if ``tasks`` does not have it."""
        task, spec = self._task(result.name), self._execution.plan.spec.name

        def write(client: SyncPrefectClient) -> None:
            page = stage_page(spec, result, self._execution.artifact(result.name))
            self._create(client, key(spec, result.name), "markdown", page, f"{result.name}: {result.status}", task)

        self._waiting.put(write)

    def over(self, run: Run) -> None:
        """Leave a page on the whole run."""
        told = f"{run.run}: {run.status}"
        name = key(run.spec, "run")
        self._waiting.put(lambda client: self._create(client, name, "markdown", run_page(run), told, None))

    def _task(self, stage: str) -> UUID | None:
        context = TaskRunContext.get()
        return context.task_run.id if context else self.tasks.get(stage)

    # -- what is written: by one thread ----------------------------------------------------------------------

    def _write_all(self) -> None:
        try:
            with (
                temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}),
                get_client(httpx_settings={"timeout": TIMEOUT}, sync_client=True) as client,
            ):
                while self._write_next(client):
                    if time.monotonic() - self._looked >= APART:
                        self._write_progress(client)
                self._write_progress(client)
        except Exception as error:
            # Whatever it is: a run that computes well must not end for what is only told.
            self._give_up(str(error) or type(error).__name__)

    def _give_up(self, why: str) -> None:
        with self._lock:
            if not self._gone:
                self._gone = True
                warn(f"Prefect's UI shows no more of this run, which goes on: {why}")

    def _write_next(self, client: SyncPrefectClient) -> bool:
        """Write a page, if there is one within a moment; whether there may be more."""
        try:
            write = self._waiting.get(timeout=APART)
        except Empty:
            return True
        if write:
            write(client)
        return write is not None

    def _write_progress(self, client: SyncPrefectClient) -> None:
        self._looked = time.monotonic()
        with self._lock:
            shown = [(stage, each, each.told()) for stage, each in self._progress.items() if each.long(self._looked)]
        for stage, progress, told in shown:
            percent, said = told
            if progress.artifact is None:
                name = key(self._execution.plan.spec.name, stage, "progress")
                progress.artifact = self._create(client, name, "progress", percent, f"{stage}: {said}", progress.task)
            elif progress.written != told:
                update = ArtifactUpdate(data=percent, description=f"{stage}: {said}")
                client.update_artifact(progress.artifact, update)
            progress.written = told

    def _create(
        self, client: SyncPrefectClient, name: str, kind: str, data: object, description: str, task: UUID | None
    ) -> UUID:
        artifact = ArtifactCreate(
            key=name, type=kind, data=data, description=description, task_run_id=task, flow_run_id=self._flow
        )
        return client.create_artifact(artifact).id
