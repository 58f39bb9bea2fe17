"""``nnpipe schedule``: a spec that is run again and again, at its times, until it is stopped."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, LogLines, Overrides, RunOn, StorePlace, Until
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from flows.deployment import Scheduled

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def schedule(
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", help="A spec: a YAML file.", show_default=False)
    ] = None,
    cron: Annotated[str | None, typer.Option(help="When: minute hour day month weekday.", show_default=False)] = None,
    every: Annotated[str | None, typer.Option(metavar="TIME", help="30s, 15m, 6h, 1d.", show_default=False)] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of --cron, as Europe/Berlin.", show_default="UTC")
    ] = None,
    store: StorePlace = DEFAULT_STORE,
    overrides: Overrides = None,
    until: Until = None,
    device: RunOn = "auto",
    name: Annotated[str | None, typer.Option(help="Of the schedule.", show_default="the spec's")] = None,
    work_pool: Annotated[
        str | None, typer.Option(metavar="POOL", help="Leave its runs to workers, and end.", show_default=False)
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of Prefect's server, if it is started here; 0: a free one.")
    ] = 0,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer /metrics and /health there; 0: at a free one.", show_default=False),
    ] = None,
    metrics_host: Annotated[str, typer.Option(metavar="HOST", help="On which address.")] = "127.0.0.1",
    keep_runs: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many records of runs of the spec stay in the store.")
    ] = 1000,
    log_format: LogLines = "text",
    listing: Annotated[bool, typer.Option("--list", help="Show what is scheduled, and end.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Remove a schedule, and end.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a spec at its times, with Prefect: what is new is computed, the rest reused. Ctrl-C stops it."""
    if find_spec("prefect") is None:
        raise UsageError("Prefect is not installed", expected="the package prefect")
    if listing or remove is not None:
        _look(store, remove, as_json=as_json)
        return
    if spec is None or (cron is None) == (every is None):
        raise UsageError("what is run when?", expected="a spec, and --cron or --every", hint="or --list, or --remove")
    from nnpipe.api import open_store, read_spec
    from nnpipe.cli.logged import errors_logged
    from nnpipe.pipeline.event_log import EventLog

    log = EventLog(sys.stderr, log_format)
    with errors_logged(log):
        from flows import schedule as scheduling
        from flows.deployment import deployment

        log.spec = read_spec(spec, overrides or ()).name
        made = deployment(
            spec,
            name=name,
            cron=cron,
            interval=seconds(every) if every else None,
            timezone=timezone,
            store=store,
            overrides=overrides or (),
            until=until,
            device=device,
            work_pool=work_pool,
        )
        if work_pool:
            scheduling.hand_over(made, log)
        else:
            options = scheduling.Options(port, (metrics_host, metrics_port), keep_runs)
            scheduling.serve(made, log.spec, open_store(store), log, options)


def seconds(text: str) -> float:
    """``30s``, ``15m``, ``6h`` or ``1d`` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not found or not float(found[1]):
        raise UsageError("not a time", where="--every", expected="a number and a unit: 30s, 15m, 6h, 1d", found=text)
    return float(found[1]) * UNITS[found[2]]


# -- what is scheduled ---------------------------------------------------------------------------------------


def _look(store: str, remove: str | None, *, as_json: bool) -> None:
    from flows.deployment import remove as remove_deployment
    from flows.deployment import scheduled
    from flows.schedule import api
    from nnpipe.api import open_store
    from nnpipe.pipeline.event_log import EventLog

    with api(open_store(store), EventLog(sys.stderr)) as answers:
        if remove is not None:
            if not answers:
                raise UsageError(f"no schedule {remove!r}", hint="there are no schedules")
            remove_deployment(remove)
            print(f"removed {remove}")
            return
        found = list(scheduled()) if answers else []
    rows = [_row(each) for each in found]
    if as_json:
        print(json.dumps({"schedules": rows}))
    else:
        print("\n".join(_listed(rows)))


def _row(each: Scheduled) -> dict[str, Any]:
    last = each.last
    return {
        "name": each.name,
        "spec": each.spec,
        "when": each.when,
        "paused": each.paused,
        "next": each.next.isoformat() if each.next else None,
        "last": last.start_time.isoformat() if last and last.start_time else None,
        "run": last.name if last else None,
        "state": last.state_name if last else None,
        "message": last.state.message if last and last.state else None,
    }


def _listed(rows: list[dict[str, Any]]) -> list[str]:
    from nnpipe.cli.text import table, when

    if not rows:
        return ["no schedules"]
    cells = [
        (
            row["name"],
            row["when"],
            "paused" if row["paused"] else when(row["next"]),
            when(row["last"]),
            row["state"] or "-",
            (row["message"] or "-").partition("\n")[0],
        )
        for row in rows
    ]
    return table(("schedule", "when", "next", "last", "state", "what came out"), cells, "<<<<<<")
