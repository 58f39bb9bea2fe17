"""Run a spec on a schedule: a Prefect deployment of the flow ``train``, served by this process.

A schedule needs a Prefect server that stays up, which a temporary one does not::

    prefect server start
    export PREFECT_API_URL=http://127.0.0.1:4200/api
    python -m flows.deployment specs/digits.yaml --cron "0 3 * * *" --timezone Europe/Berlin

The deployment is called ``train/`` and the spec's name; serving it again updates it. Its runs are seen, and started by
hand, at http://127.0.0.1:4200. One run at a time: one that is due while another is under way is left out. The spec is
read anew for each run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import prefect
import typer
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from flows.server import check_server
from flows.train import train
from nnpipe.errors import NnpipeError, UsageError

Device = Literal["auto", "cpu", "cuda"]
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def deployment(
    spec: Path,
    *,
    cron: str | None = None,
    interval: float | None = None,
    timezone: str | None = None,
    store: Path = Path("artifacts"),
    overrides: Sequence[str] = (),
    until: str | None = None,
    force: Sequence[str] = (),
    device: Device = "auto",
) -> RunnerDeployment:
    """The deployment ``train/<name of the spec>``; without ``cron`` and ``interval`` it is started by hand only.

    interval: seconds.
    timezone: of ``cron``, a name of the IANA database; UTC if it is left out.

    Raises:
        SpecError: the spec is wrong: told now, not at night.
        UsageError: the schedule is wrong.
    """
    from nnpipe.pipeline.spec import read_spec

    checked = read_spec(spec, tuple(overrides))
    parameters = {
        "spec": str(spec.resolve()),
        "store": str(store.resolve()),
        "overrides": list(overrides),
        "until": until,
        "force": list(force),
        "device": device,
    }
    return RunnerDeployment.from_flow(
        train,
        name=checked.name,
        description=checked.description or None,
        parameters=parameters,
        schedule=_schedule(cron, interval, timezone),
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def serve(*deployments: RunnerDeployment) -> None:
    """Register deployments with the server of ``PREFECT_API_URL`` and carry out their runs, until interrupted.

    Raises:
        UsageError: there is no ``PREFECT_API_URL``.
        NnpipeError: its server does not answer.
    """
    if not PREFECT_API_URL.value():
        raise UsageError(
            "a schedule needs a Prefect server that stays up",
            expected="its address in PREFECT_API_URL",
            hint="prefect server start; export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
    check_server()
    prefect.serve(*deployments)


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
        return Interval(timedelta(seconds=interval), timezone=timezone)
    try:
        return Cron(cron, timezone=timezone) if cron is not None else None
    except ValueError as error:
        expected = "minute hour day month weekday, as in '0 3 * * *'"
        raise UsageError("not a cron schedule", expected=expected, found=repr(cron)) from error


def _main(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec, a YAML file.")],
    cron: Annotated[str | None, typer.Option(help="When to run: minute hour day month weekday.")] = None,
    interval: Annotated[float | None, typer.Option(help="Run every so many seconds.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of --cron, as Europe/Berlin; UTC if left out.")] = None,
    store: Annotated[Path, typer.Option(help="The directory of artifacts.")] = Path("artifacts"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE: override a field.")] = None,
    until: Annotated[str | None, typer.Option(help="The last stage to run.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
) -> None:
    """Serve a deployment of SPEC, until interrupted."""
    given = overrides or []
    try:
        serve(
            deployment(
                spec,
                cron=cron,
                interval=interval,
                timezone=timezone,
                store=store,
                overrides=given,
                until=until,
                device=device,
            )
        )
    except NnpipeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    typer.run(_main)
