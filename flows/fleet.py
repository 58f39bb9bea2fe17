"""Runs on a Dask cluster: one flow, in which every stage is a task on a worker; a stage that runs share is one task.

Workers are told names and find the rest in the store; what they made is read from there. The runs themselves are begun,
recorded and finished here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from distributed import KilledWorker
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Failed
from prefect_dask.task_runners import DaskTaskRunner

from flows.artifacts import Artifacts
from flows.events import tell_promotion
from flows.states import in_our_words, over, together, weightiest
from flows.tasks import OPTIONS
from flows.worker import carry_out_stage, stop
from nnpipe.errors import Interrupted, NnpipeError, StageError
from nnpipe.pipeline.compute import Unforeseen
from nnpipe.pipeline.elsewhere import Failure, order
from nnpipe.pipeline.run import Run, StageResult, ending
from nnpipe.pipeline.sweep import meanings

if TYPE_CHECKING:
    from prefect_dask.client import PrefectDaskClient
    from prefect_dask.task_runners import PrefectDaskFuture

    from nnpipe.pipeline.execute import Execution

POLL = 0.2  # seconds between two looks at whether to stop
AGAIN = 1.0  # seconds after which workers are told again to stop: there may be new ones


@dataclass
class Node:
    """A stage, and the executions that need it; the first one's observer is told how it comes along."""

    stage: str
    executions: list[Execution]
    future: PrefectDaskFuture[Any] = field(init=False)


class Fleet:
    """Executions under way; ``carry_out`` is the body of their flow."""

    def __init__(self, executions: Sequence[Execution], stopping: Event, *, fail_fast: bool = False) -> None:
        self._executions, self._stopping, self._fail_fast = executions, stopping, fail_fast
        self._errors: dict[str, list[BaseException]] = {execution.name: [] for execution in executions}
        self._runs: dict[str, Run] = {}
        self._nodes: list[Node] = []
        self._topic = f"nnpipe-{executions[0].name}"
        self._ended: SimpleQueue[Node] = SimpleQueue()
        self._taken, self._failed = 0, False
        # A run has pages in Prefect's UI. Those of a sweep's many runs would be looked at by nobody.
        self._shown = Artifacts(executions[0]) if len(executions) == 1 else None

    def carry_out(self) -> State:
        """Run every stage as a task; the state that the flow ends in. The runs are recorded."""
        with self._shown.written() if self._shown else nullcontext():
            return self._carry_out()

    def fail(self, error: BaseException) -> None:
        """Note what ended every run that is not recorded yet; they are."""
        for execution in self._executions:
            if execution.name not in self._runs:
                self._errors[execution.name].append(in_our_words(error))
                self._finish(execution)

    def outcomes(self) -> list[Run | BaseException]:
        """Of each execution what came out, or the error that ended it."""
        return [self._error(execution) or self._runs[execution.name] for execution in self._executions]

    # -- in the flow -----------------------------------------------------------------------------------------

    def _carry_out(self) -> State:
        context = FlowRunContext.get()
        assert context is not None
        client = cast(DaskTaskRunner, context.task_runner).client
        client.subscribe_topic(self._topic, self._tell)
        try:
            self._submit()
            self._take_all(client)
        except KeyboardInterrupt:  # asked once more to stop, at once
            raise
        except BaseException:  # a signal that Prefect raises here; stages under way keep a checkpoint
            self._stopping.set()
            self._take_all(client)
            raise
        return together([self._finish(execution) for execution in self._executions])

    def _submit(self) -> None:
        known: dict[str, Node] = {}
        for execution in self._executions:
            stages = [planned.stage for planned in execution.plan.stages]
            meant = meanings(stages)
            for stage in stages:
                node = known.get(meant[stage.name])
                if node:
                    node.executions.append(execution)
                    continue
                node = known[meant[stage.name]] = Node(stage.name, [execution])
                self._nodes.append(node)  # before its worker can tell anything
                before = {word: known[meant[made_by]].future for word, made_by in stage.inputs.items()}
                node.future = self._task(execution, stage.name, before)
        for node in self._nodes:
            node.future.wrapped_future.add_done_callback(lambda _, node=node: self._ended.put(node))

    def _task(
        self, execution: Execution, stage: str, inputs: dict[str, PrefectDaskFuture[Any]]
    ) -> PrefectDaskFuture[Any]:
        named = task(name=stage, task_run_name=stage, cache_policy=NO_CACHE, **OPTIONS)(carry_out_stage)
        future = named.submit(order(execution, stage), self._topic, len(self._nodes) - 1, inputs)
        if self._shown:
            self._shown.tasks[stage] = future.task_run_id
        return cast("PrefectDaskFuture[Any]", future)

    def _tell(self, event: tuple[float, dict[str, Any]]) -> None:
        told = event[1]
        getattr(self._nodes[told["node"]].executions[0].observer, told["tell"])(*told["words"])

    def _take_all(self, client: PrefectDaskClient) -> None:
        """Take what each task gives as it ends, and see to it that they stop if they have to."""
        told = -AGAIN
        while self._taken < len(self._nodes):
            with suppress(Empty):
                self._take(self._ended.get(timeout=POLL))
            if self._ending and time.monotonic() - told >= AGAIN:
                client.run(stop, self._topic, on_error="ignore")
                told = time.monotonic()

    @property
    def _ending(self) -> bool:
        return self._stopping.is_set() or (self._fail_fast and self._failed)

    def _take(self, node: Node) -> None:
        self._taken += 1
        answer = _answer(node)
        for execution in node.executions if answer else ():
            try:
                if isinstance(answer, StageResult):
                    execution.accept(answer)
                    answer = replace(answer, status="reused", seconds=0.0)  # by those that share it
                elif answer:
                    self._note(execution, node.stage, answer)
            except NnpipeError as error:
                self._note(execution, node.stage, Failure(error))

    def _note(self, execution: Execution, stage: str, failure: Failure) -> None:
        self._errors[execution.name].append(failure.error)
        self._failed = self._failed or not isinstance(failure.error, Interrupted)
        if isinstance(failure.error, Unforeseen):
            execution.traceback = execution.traceback or failure.error.traceback
        execution.observer.finished(stage, ending(failure.error), failure.seconds)

    def _finish(self, execution: Execution) -> State:
        error = self._error(execution)
        try:
            run = self._runs[execution.name] = execution.finish(error)
        except Exception as unrecorded:
            self._errors[execution.name].append(unrecorded)
            return Failed(message=str(unrecorded))
        if self._shown:
            self._shown.over(run)
        tell_promotion(run)
        return over(run, error)

    def _error(self, execution: Execution) -> BaseException | None:
        return weightiest(self._errors[execution.name])


def _answer(node: Node) -> StageResult | Failure | None:
    """What a task gave; None if it was left out, because what it needs is not there."""
    future = node.future.wrapped_future
    try:
        state = future.result()
    except KilledWorker as error:
        what = f"{node.stage}: each worker that tried it died, {error.allowed_failures + 1} of them"
        hint = "too little memory is a frequent reason; the workers' logs may tell"
        return Failure(StageError(what, hint=hint)) if error.task == future.key else None
    except Exception as error:
        hint = "what was finished is kept: run it again"
        return Failure(StageError(f"{node.stage}: the cluster was lost", found=str(error), hint=hint))
    data = getattr(state.data, "result", state.data)  # Prefect wraps what it takes for a result
    return StageResult(**data) if state.is_completed() else data if isinstance(data, Failure) else None
