"""``nnpipe run``: compute what a spec says and was never computed before."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nnpipe.api import Log
from nnpipe.cli.options import (
    DEFAULT_STORE,
    Address,
    AsJson,
    CheckpointEvery,
    Force,
    LogLines,
    Memory,
    Overrides,
    RunBy,
    RunOn,
    SpecFile,
    StorePlace,
    Threads,
    Until,
)
from nnpipe.cli.plan import start_told
from nnpipe.errors import Interrupted

if TYPE_CHECKING:
    from nnpipe.pipeline.run import Run


def run(
    spec: SpecFile,
    overrides: Overrides = None,
    store: StorePlace = DEFAULT_STORE,
    until: Until = None,
    force: Force = None,
    engine: RunBy = "prefect",
    address: Address = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --engine dask: workers to start here.", show_default=False),
    ] = None,
    device: RunOn = "auto",
    threads: Threads = None,
    checkpoint_every: CheckpointEvery = 30.0,
    log: Annotated[
        Log | None,
        typer.Option(help="Write TensorBoard event files, or none; as the spec says if left out.", show_default=False),
    ] = None,
    memory: Memory = None,
    log_format: LogLines = "text",
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Compute what is new in a spec; reuse the rest. Under torchrun, processes train together."""
    from nnpipe import api
    from nnpipe.cli.logged import logged
    from nnpipe.cli.progress import watching
    from nnpipe.cli.text import folded
    from nnpipe.training.team import joining

    with logged(log_format) as events:
        plan = api.plan(spec, set=overrides or (), store=store, until=until, force=force or (), device=device)
        if events:
            events.spec = plan.spec.name
        with watching(plan, sys.stderr if as_json else sys.stdout, quiet=quiet or joining(), log=events) as observer:
            try:
                done = api.execute(
                    plan,
                    engine=engine,
                    device=device,
                    threads=threads,
                    checkpoint_every=checkpoint_every,
                    log=log,
                    memory=memory,
                    observer=observer,
                    jobs=jobs,
                    address=address,
                )
            except Interrupted as error:
                if joining():  # the first process tells how to go on
                    raise typer.Exit(error.exit_status) from error
                raise
        if events and not joining():
            events.ended(done)
    if joining():  # the first process tells
        return
    if as_json:
        print(json.dumps(done.to_json()))
    elif not events:
        print("\n".join([*start_told(plan.start), *folded(plan.decisions), *_outcome(done)]))


def _outcome(run: Run) -> list[str]:
    from nnpipe.cli.promote import promotion_told
    from nnpipe.cli.text import duration, measures
    from nnpipe.pipeline.tensorboard import event_folder

    statuses = [stage.status for stage in run.stages]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    lines = [f"{run.spec}: {counts} in {duration(run.seconds)}"]
    if run.metrics:
        lines.append(measures(run.headline))
    if run.promotion:
        lines += promotion_told(run.promotion)
    if run.report:
        lines.append(f"report {run.report}")
    events = event_folder(run.store, run.run)
    if events.is_dir():
        lines.append(f"tensorboard --logdir {events.parent}")
    return lines
