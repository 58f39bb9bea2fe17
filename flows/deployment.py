"""A spec on a schedule, as Prefect knows it: a deployment of the flow ``train`` with parameters and times.

Its runs are made by Prefect's server. Who carries them out is another matter: ``flows.serving``, or a worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.train import train
from nnpipe.errors import NnpipeError, UsageError, nearest

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

Device = Literal["auto", "cpu", "cuda"]
CARRIED_OUT = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.RUNNING]
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


# -- made ----------------------------------------------------------------------------------------------------


def deployment(
    spec: Path,
    *,
    name: str | None = None,
    cron: str | None = None,
    interval: float | None = None,
    timezone: str | None = None,
    store: str | Path = "artifacts",
    overrides: Sequence[str] = (),
    until: str | None = None,
    force: Sequence[str] = (),
    device: Device = "auto",
    work_pool: str | None = None,
) -> RunnerDeployment:
    """The deployment ``train/NAME``; without ``cron`` and ``interval`` it is started by hand only.

    name: by default that of the spec.
    interval: seconds.
    timezone: of ``cron``, a name of the IANA database; UTC if it is left out.
    work_pool: whose workers carry out its runs.

    Raises:
        SpecError: the spec is wrong: told now, not at night.
        UsageError: the name, the schedule, or ``until`` is wrong.
    """
    from nnpipe.pipeline.graph import needed_for, stages_of
    from nnpipe.pipeline.spec import read_spec
    from nnpipe.store.opening import place_of

    checked = read_spec(spec, tuple(overrides))
    needed_for(stages_of(checked), until)
    made = RunnerDeployment.from_flow(
        train,
        name=_checked_name(name or checked.name),
        description=checked.description or None,
        parameters={
            "spec": str(spec.resolve()),
            "store": place_of(store),
            "overrides": list(overrides),
            "until": until,
            "force": list(force),
            "device": device,
        },
        schedule=_schedule(cron, interval, timezone),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # Given even where they are None, so that what was there before goes. One run at a time is seen to by the flow:
    # Prefect's limit would end a run under way when its server is away.
    made.work_pool_name, made.work_queue_name, made.concurrency_limit = work_pool, None, None
    return made


def _checked_name(name: str) -> str:
    if "/" in name or "%" in name or not name.strip() or name.endswith(".py"):
        raise UsageError("not a name for a schedule", where="--name", expected="a name without / and %", found=name)
    return name


def _schedule(cron: str | None, interval: float | None, timezone: str | None) -> Schedule | None:
    if cron is not None and interval is not None:
        raise UsageError("two schedules", expected="cron or interval", found=f"{cron!r} and {interval} s")
    try:
        if timezone is not None:
            ZoneInfo(timezone)
    except (ValueError, OSError, LookupError):
        raise UsageError("no such time zone", expected="a name like Europe/Berlin", found=repr(timezone)) from None
    if interval is not None:
        if interval <= 0:
            raise UsageError("an interval that is not positive", expected="seconds", found=str(interval))
        return Interval(timedelta(seconds=interval), timezone=timezone, slug="nnpipe")
    try:
        return Cron(cron, timezone=timezone, slug="nnpipe") if cron is not None else None
    except ValueError as error:
        expected = "minute hour day month weekday, as in '0 3 * * *'"
        raise UsageError("not a cron schedule", expected=expected, found=repr(cron)) from error


def register(made: RunnerDeployment) -> tuple[UUID, bool]:
    """Tell Prefect's server of a deployment; its id, and whether anything was new to the server.

    What it knows already is left as it is: an update would take back the runs that are due next.

    Raises:
        NnpipeError: there is no such work pool.
    """
    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{train.name}/{made.name}")
        except ObjectNotFound:
            known = None
    if known and _facts(known) == _facts(made):
        return known.id, False
    try:
        # A coroutine it is only where an event loop runs already.
        return cast(UUID, made.apply()), True
    except DeploymentApplyError as error:
        hint = f"prefect work-pool create --type process {made.work_pool_name}" if made.work_pool_name else None
        raise NnpipeError("Prefect's server refuses the schedule", found=str(error), hint=hint) from error


def _facts(deployment: RunnerDeployment | DeploymentResponse) -> tuple[object, ...]:
    times = [describe(each.schedule) for each in deployment.schedules or []]
    pool = deployment.work_pool_name
    return deployment.parameters, deployment.entrypoint, deployment.description or "", pool, times


def describe(schedule: object) -> str:
    """When, in words: ``0 3 * * * Europe/Berlin``, ``every 6h``."""
    if isinstance(schedule, CronSchedule):
        return f"{schedule.cron} {schedule.timezone or 'UTC'}"
    if isinstance(schedule, IntervalSchedule):
        seconds = schedule.interval.total_seconds()
        unit, length = next((each for each in UNITS if seconds % each[1] == 0), UNITS[-1])
        return f"every {seconds / length:g}{unit}"
    return str(schedule)


# -- looked at, and removed ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scheduled:
    """A schedule, as a list shows it. next: when it is due; last: the last run that was not left out."""

    name: str
    spec: str
    when: str
    paused: bool
    next: datetime | None
    last: FlowRun | None


def scheduled() -> Iterator[Scheduled]:
    """Every deployment of the flow ``train``, by name."""
    with get_client(sync_client=True) as client:
        for known in _deployments(client):
            coming = _run(client, known.id, [StateType.SCHEDULED], FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC)
            yield Scheduled(
                known.name,
                str(known.parameters.get("spec", "")),
                ", ".join(describe(each.schedule) for each in known.schedules) or "by hand",
                known.paused or not any(each.active for each in known.schedules),
                coming.next_scheduled_start_time if coming else None,
                _run(client, known.id, CARRIED_OUT, FlowRunSort.START_TIME_DESC),
            )


def remove(name: str) -> None:
    """Remove a schedule; whoever serves it ends with the run under way.

    Raises:
        UsageError: there is none of that name.
    """
    with get_client(sync_client=True) as client:
        known = {deployment.name: deployment.id for deployment in _deployments(client)}
        if name not in known:
            raise UsageError(f"no schedule {name!r}", hint=nearest(name, known) or "there are no schedules")
        client.delete_deployment(known[name])


def _deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    found = client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=[train.name])))
    return sorted(found, key=lambda deployment: deployment.name)


def _run(client: SyncPrefectClient, deployment: UUID, states: list[StateType], sort: FlowRunSort) -> FlowRun | None:
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))),
        sort=sort,
        limit=1,
    )
    return runs[0] if runs else None
