"""A plan as a Prefect flow, ``train``: what a schedule runs, and how ``nnpipe run`` shows in Prefect's UI."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.server import prefect_api
from flows.server_process import ServerAwayError, TemporaryServer
from flows.states import words
from flows.tasks import OPTIONS, Training
from nnpipe.errors import NnpipeError
from nnpipe.pipeline.event_log import EventLog, LoggedStages, warn

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run

FLOW: dict[str, Any] = {"name": "train", "task_runner": ThreadPoolTaskRunner(), **OPTIONS}


def run_prefect(execution: Execution, server: TemporaryServer | None = None) -> Run:
    """Execute every stage after its inputs, independent ones side by side; the run is recorded however it ends.

    Prefect's server is that of ``PREFECT_API_URL``, or a temporary one. Where it does not answer, the run goes on
    without Prefect, which is told. Prefect is silent in the terminal, unless ``PREFECT_LOGGING_LEVEL`` is set; its API
    is told everything.

    server: a temporary one that was started before.

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
        with quiet_terminal(), prefect_api(runtime.resolve_device, server):
            whole, store = plan.spec.model_dump(mode="json"), plan.store.place
            run(whole, store, sorted(plan.force), runtime.device, return_state=True)
    except ServerAwayError as error:
        from nnpipe.pipeline.local import run_local

        warn(f"this run goes on without Prefect, whose UI will not show it: {error}")
        return run_local(execution)
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
        store: The directory of artifacts, or the URL of a shared store.
        overrides: KEY=VALUE for fields of the spec.
        until: The last stage to run; empty for all of them.
        force: Stages to compute even if they could be reused.
        device: Where to train; auto takes a GPU where there is one.
    """
    log = EventLog.of_environment()
    with log.of_this_process():
        try:
            plan = _planned(spec, store, overrides, until, force, device)
            log.spec = plan.spec.name
            return _one_at_a_time(plan, device, log)
        except NnpipeError as error:
            log.write("error", str(error), level="error")
            return Failed(message=str(error))


def _planned(
    spec: str,
    store: str,
    overrides: tuple[str, ...],
    until: str | None,
    force: tuple[str, ...],
    device: Literal["auto", "cpu", "cuda"],
) -> Plan:
    from nnpipe.pipeline.plan import make_plan
    from nnpipe.pipeline.spec import read_spec
    from nnpipe.store.opening import open_store

    checked = read_spec(spec, overrides)
    root = Path(spec).resolve().parent
    return make_plan(checked, open_store(store, warn), root, until=until, force=force, device=device)


def under_way(deployment: object) -> str:
    """What a run of a deployment holds alone in its store: an operating system's lock, which goes with its process."""
    return f"deployment-{deployment}"


def _one_at_a_time(plan: Plan, device: Literal["auto", "cpu", "cuda"], log: EventLog) -> State:
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    deployment, owner = context.flow_run.deployment_id, f"run {context.flow_run.name}, process {os.getpid()}"
    if deployment is None:
        return _execute(plan, device, log, context.flow_run.id)
    plan.store.prepare()
    with plan.store.claim(under_way(deployment), owner) as other:
        if other is None:
            return _execute(plan, device, log, context.flow_run.id)
        log.write("skipped", f"left out: {other} is under way", status="skipped")
        return Cancelled(message=f"left out: {other} is under way")


def _execute(plan: Plan, device: Literal["auto", "cpu", "cuda"], log: EventLog, flow_run: Any) -> State:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.local import run_local
    from nnpipe.pipeline.runtime import Runtime

    execution = Execution(plan, Runtime(device), None if plan.nothing_to_do else LoggedStages(log))
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run, execution.name)
    training = Training(execution)
    try:
        if plan.nothing_to_do:  # tasks would take longer than what they have to do
            training.run = run_local(execution)
            state: State = Completed(message=words(training.run))
        else:
            state = training.carry_out()
    finally:
        if training.run:
            log.ended(training.run)
    if state.is_failed():
        log.write("error", str(state.message), level="error")
    get_run_logger().info(state.message)
    return state


@contextmanager
def quiet_terminal() -> Iterator[None]:
    """Silence Prefect's loggers in the terminal, where they would disturb our progress, unless the user wants them."""
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        yield
        return
    root = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    prefects = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("prefect")]
    own = [each for logger in prefects for each in logger.handlers if isinstance(each, logging.StreamHandler)]
    levels = [(handler, handler.level) for handler in {*root, *own}]
    told, logging.raiseExceptions = logging.raiseExceptions, False  # that a log could not be sent
    for handler, _ in levels:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logging.raiseExceptions = told
        for handler, level in levels:
            handler.setLevel(level)
