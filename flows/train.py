"""A plan as a Prefect flow: its stages are tasks, which run side by side and hand each other references.

Prefect neither caches nor keeps results. What a task returns names an artifact; what is reused, the store alone knows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prefect import flow, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture, wait
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import Artifacts
from flows.events import tell_promotion
from flows.server import WITHOUT, prefect_api
from nnpipe.errors import Interrupted, NnpipeError, StageError

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.run import Run, StageResult

OPTIONS: dict[str, Any] = {"persist_result": False, "retries": 0}
FLOW: dict[str, Any] = {"name": "train", "task_runner": ThreadPoolTaskRunner(), **OPTIONS}


def run_prefect(execution: Execution) -> Run:
    """Execute every stage after its inputs, independent ones side by side; the run is recorded however it ends.

    Prefect's server is that of ``PREFECT_API_URL``, or a temporary one. Prefect is silent in the terminal, unless
    ``PREFECT_LOGGING_LEVEL`` is set; its API is told everything.

    Raises:
        NnpipeError: a stage failed, or Prefect did. Stages that do not need a failed one were still executed.
        Interrupted: somebody asked to stop.
    """
    plan, runtime, training = execution.plan, execution.runtime, Training(execution)

    @flow(flow_run_name=execution.name, **FLOW)
    def run(spec: dict[str, Any], store: str, force: list[str], device: str) -> State:
        """A run from the command line or from Python; ``spec`` is the whole spec, defaults and overrides included."""
        return training.carry_out()

    try:
        # Every stage that computes needs torch, which takes as long to import as the server to start.
        with _quiet_terminal(), prefect_api(meanwhile=runtime.resolve_device):
            whole, store = plan.spec.model_dump(mode="json"), str(plan.store.root)
            run(whole, store, sorted(plan.force), runtime.device, return_state=True)
    except BaseException as error:
        training.fail(error)
    return training.outcome()


@flow(**FLOW)
def train(
    spec: str,
    store: str = "artifacts",
    overrides: tuple[str, ...] = (),
    until: str | None = None,
    force: tuple[str, ...] = (),
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> State:
    """Compute what a spec says and was never computed before; reuse the rest.

    Args:
        spec: Path of the spec, a YAML file.
        store: The directory of artifacts.
        overrides: KEY=VALUE for fields of the spec.
        until: The last stage to run; empty for all of them.
        force: Stages to compute even if they could be reused.
        device: Where to train; auto takes a GPU where there is one.
    """
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.plan import make_plan
    from nnpipe.pipeline.runtime import Runtime
    from nnpipe.pipeline.spec import read_spec
    from nnpipe.store.store import Store

    try:
        checked = read_spec(spec, overrides)
        plan = make_plan(checked, Store(Path(store)), Path(spec).resolve().parent, until=until, force=force)
        execution = Execution(plan, Runtime(device))
    except NnpipeError as error:
        return Failed(message=str(error))
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, execution.name)
    return Training(execution).carry_out()


class Training:
    """An execution inside a flow; ``carry_out`` is the body of the flow, whoever started it."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self._errors: list[BaseException] = []
        self._run: Run | None = None
        self._shown = Artifacts(execution)
        # Prefect has a thread for each task, and OpenMP a team for each thread: with more of them than processors it
        # lets them sleep between two sums, which costs a fifth of the speed. Here threads that are idle are used again.
        self._threads = ThreadPoolExecutor(thread_name_prefix="stage")

    def carry_out(self) -> State:
        """Run every stage as a task; the state that the flow ends in. The run is recorded."""
        with self._shown.written(), self._threads:
            return self._carry_out()

    def _carry_out(self) -> State:
        futures: dict[str, PrefectFuture[Any]] = {}
        try:
            for planned in self.execution.plan.stages:
                stage = planned.stage
                inputs = {word: futures[made_by] for word, made_by in stage.inputs.items()}
                futures[stage.name] = self._submit(stage.name, inputs)
            wait(list(futures.values()))
        except BaseException as error:
            # A signal that Prefect or Python raises here; stages under way keep a checkpoint.
            self.execution.stopping.set()
            wait(list(futures.values()))
            self.fail(error)
            raise
        self._check_complete(futures)
        return self._finish()

    def fail(self, error: BaseException) -> None:
        """Note that Prefect, or a signal, ended the run; it is recorded, if it was not yet."""
        if self._run is None:
            self._errors.append(_in_our_words(error))
            self._finish()
        elif not isinstance(error, Exception):
            self._errors.append(_in_our_words(error))

    def outcome(self) -> Run:
        """The recorded run, or the error that ended it."""
        error = self._error()
        if error is not None:
            raise error
        assert self._run is not None
        return self._run

    def _submit(self, name: str, inputs: dict[str, PrefectFuture[Any]]) -> PrefectFuture[Any]:
        @task(name=name, task_run_name=name, cache_policy=NO_CACHE, **OPTIONS)
        def stage(inputs: dict[str, Any]) -> State:
            """``inputs``: the stage's word for an input -> the result of the stage that made it, as a dict."""
            try:
                # The copy tells whose task it is.
                result = self._threads.submit(copy_context().run, self.execution.execute, name).result()
                self._shown.made(result)
                return _state(result)
            except Interrupted as error:
                self._errors.append(error)
                return Cancelled(message=str(error))
            except Exception as error:
                # Returned, because Prefect would pickle an exception that is raised into its results.
                self._errors.append(error)
                return Failed(message=str(error))

        return stage.submit(inputs)

    def _check_complete(self, futures: dict[str, PrefectFuture[Any]]) -> None:
        missing = [name for name in futures if name not in self.execution.results]
        if missing and not self._errors:
            state = futures[missing[0]].state
            self._errors.append(StageError(f"Prefect did not run {missing[0]}", found=str(state), hint=WITHOUT))

    def _finish(self) -> State:
        error = self._error()
        try:
            self._run = self.execution.finish(error)
        except Exception as unrecorded:
            self._errors.append(unrecorded)
            return Failed(message=str(unrecorded))
        self._shown.over(self._run)
        tell_promotion(self._run)
        if error is None:
            return Completed(message=_words(self._run))
        return (Cancelled if isinstance(error, Interrupted) else Failed)(message=str(error))

    def _error(self) -> BaseException | None:
        """The first failure; that others were interrupted says less."""
        failures = [error for error in self._errors if not isinstance(error, Interrupted)]
        return next(iter(failures or self._errors), None)


def _state(result: StageResult) -> State:
    artifact = f"artifact {result.artifact[:12]}"
    if result.status == "reused":
        return Completed(name="Cached", message=artifact, data=asdict(result))
    if result.status == "resumed":
        return Completed(name="Resumed", message=f"went on from a checkpoint: {artifact}", data=asdict(result))
    return Completed(message=artifact, data=asdict(result))


def _words(run: Run) -> str:
    measures = [f"{name} {value:.4f}" for name, value in run.headline.items()]
    promotion = run.promotion
    told = [f"{promotion['ref']} {'moved' if promotion['promoted'] else 'stays'}"] if promotion else []
    return ", ".join([*measures, *told, *([f"report {run.report}"] if run.report else [])]) or "done"


def _in_our_words(error: BaseException) -> BaseException:
    if isinstance(error, TerminationSignal):
        return Interrupted("stopped by a signal")
    if isinstance(error, NnpipeError) or not isinstance(error, Exception):
        return error
    what = f"Prefect failed: {type(error).__name__}: {error}"
    renamed = NnpipeError(what, hint=f"finished stages are kept; {WITHOUT}")
    renamed.__cause__ = error
    return renamed


@contextmanager
def _quiet_terminal() -> Iterator[None]:
    """Silence Prefect's loggers in the terminal, where they would disturb our progress."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    levels = [handler.level for handler in handlers]
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        for handler in handlers:
            handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)
