"""The engine dask: runs as one flow on a Dask cluster, one that is there or one that is started for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from threading import Event
from typing import TYPE_CHECKING, Any

from distributed.utils import silence_logging_cmgr
from prefect import flow
from prefect.client.schemas.objects import State
from prefect_dask.task_runners import DaskTaskRunner

from flows.cluster import check_scheduler, local_cluster
from flows.fleet import Fleet
from flows.server import prefect_api
from flows.tasks import OPTIONS
from flows.train import quiet_terminal

if TYPE_CHECKING:
    from nnpipe.pipeline.execute import Execution
    from nnpipe.pipeline.run import Run


def run_dask(execution: Execution, *, address: str | None, workers: int) -> Run:
    """Execute every stage on a cluster, independent ones side by side; the run is recorded however it ends.

    Raises:
        NnpipeError: a stage failed, or no scheduler, or no Prefect server, answers.
        Interrupted: somebody asked to stop.
    """
    stopping = execution.stopping
    (outcome,) = run_fleet([execution], execution.name, address=address, workers=workers, stopping=stopping)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_fleet(
    executions: Sequence[Execution],
    name: str,
    *,
    address: str | None = None,
    workers: int = 1,
    stopping: Event,
    fail_fast: bool = False,
) -> list[Run | BaseException]:
    """Carry out runs on a cluster; of each what came out, or the error that ended it. Every run is recorded.

    address: of a Dask scheduler; without one so many ``workers`` are started on this machine.
    stopping: set it to stop; stages under way keep a checkpoint.
    fail_fast: whether the first failure stops all others.

    Raises:
        NnpipeError: no scheduler, or no Prefect server answers. Nothing was begun.
    """
    fleet = Fleet(executions, stopping, fail_fast=fail_fast)
    began = False
    try:
        if address:
            check_scheduler(address)
        # Workers end before Prefect's server does: they have something to tell it yet.
        with quiet_terminal(), silence_logging_cmgr(logging.CRITICAL), prefect_api(), ExitStack() as started:
            runner: Any = DaskTaskRunner(address=address or started.enter_context(local_cluster(workers)))
            carry_out = flow(name="train", flow_run_name=name, task_runner=runner, **OPTIONS)(_carry_out)
            specs = sorted({execution.plan.spec.name for execution in executions})
            token, began = _fleet.set(fleet), True
            try:
                carry_out(specs, executions[0].plan.store.place, return_state=True)
            finally:
                _fleet.reset(token)
    except BaseException as error:
        fleet.fail(error)
        if not began:
            raise
    return fleet.outcomes()


_fleet: ContextVar[Fleet] = ContextVar("fleet")


def _carry_out(specs: list[str], store: str) -> State:
    """Runs on a Dask cluster."""
    return _fleet.get().carry_out()
