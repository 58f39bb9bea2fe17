"""``nnpipe sweep``: every combination of a spec's matrix as a run, and a table of what came out."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from nnpipe.cli.options import (
    DEFAULT_STORE,
    Address,
    AsJson,
    CheckpointEvery,
    Memory,
    Overrides,
    RunBy,
    RunOn,
    SpecFile,
    StorePlace,
)
from nnpipe.errors import StageError, UsageError

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.sweep import Family, Member, SharedStage
    from nnpipe.stages.sweep_table import Row
    from nnpipe.stages.work import Observer
    from nnpipe.sweeps.members import Watch
    from nnpipe.sweeps.sweep import Sweep


def sweep(
    spec: SpecFile,
    overrides: Overrides = None,
    store: StorePlace = DEFAULT_STORE,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A measure for the table; may be repeated.", show_default=False),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the table there.", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many runs at a time; one if left out. With --engine dask: workers to start here, as many as can "
            "be busy if left out.",
            show_default=False,
        ),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="A run that fails ends the sweep.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be computed and shared.")] = False,
    engine: RunBy = "local",
    address: Address = None,
    device: RunOn = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads of torch on a CPU, for each run.", show_default=False),
    ] = None,
    checkpoint_every: CheckpointEvery = 30.0,
    memory: Memory = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run every combination of a spec's matrix; compute once what they share; compare."""
    from nnpipe.api import open_store
    from nnpipe.cli.text import width
    from nnpipe.sweeps import sweep as interface

    if table is not None and (table.is_dir() or not table.absolute().parent.is_dir()):
        raise UsageError("no place for a file", where=str(table), expected="a file in a folder that is there")
    family = interface.read_family(spec, overrides or ())
    if dry_run:
        from nnpipe.pipeline.sweep import plan_family

        _print_plan(family, plan_family(family, open_store(store), device), as_json=as_json)
        return
    one_by_one = engine != "dask" and jobs in (None, 1)
    done = interface.sweep(
        spec,
        set=overrides or (),
        store=store,
        metrics=metric or (),
        jobs=jobs,
        fail_fast=fail_fast,
        engine=engine,
        device=device,
        threads=threads,
        checkpoint_every=checkpoint_every,
        memory=memory,
        watch=_watch(family, sys.stderr if as_json else sys.stdout, one_by_one=one_by_one, quiet=quiet),
        address=address,
    )
    if table is not None:
        table.write_text(done.to_csv())
    print(json.dumps(done.to_json()) if as_json else "\n".join(_outcome(done, width())))
    if done.failed:
        raise StageError("; ".join(_failures(done)), hint="nnpipe show RUN tells more; the same command runs it again")


def _watch(family: Family, stream: TextIO, *, one_by_one: bool, quiet: bool) -> Watch:
    from nnpipe.cli.progress import Lines, watching

    total = len(family.members)

    @contextmanager
    def watch(number: int, member: Member, plan: Plan) -> Iterator[Observer]:
        place = f"[{number:>{len(str(total))}}/{total}]"
        if not quiet:
            print(f"{place} {member.told}\n", end="", file=stream, flush=True)
        if one_by_one or quiet:
            with watching(plan, stream, quiet=quiet) as observer:
                yield observer
        else:
            yield Lines(stream, max(len(planned.stage.name) for planned in plan.stages), f"{place} ")

    return watch


# -- what came out -------------------------------------------------------------------------------------------


def _outcome(done: Sweep, columns: int) -> list[str]:
    from nnpipe.cli.text import duration

    statuses = [stage["status"] for _, answer in done.runs for stage in answer.stages]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)) or "nothing done"
    lines = [*result_table(done.rows, columns), ""]
    runs = "1 run, its" if len(done.runs) == 1 else f"{len(done.runs)} runs, their"
    lines.append(f"{done.spec}: {runs} stages {counts} in {duration(done.seconds)}")
    return [*lines, f"report {done.report}"] if done.report else lines


def result_table(rows: Sequence[Row], columns: int) -> list[str]:
    """The table, at most ``columns`` wide where that is possible: where it is wider, a paragraph each row."""
    from nnpipe.cli.text import table
    from nnpipe.spec.words import words
    from nnpipe.stages.sweep_table import short_names

    if not rows:
        return []
    names = short_names(list(rows[0].values))
    measures = list(rows[0].measures)
    header = [*names.values(), *(name.replace("_", " ") for name in measures), "n"]
    cells = [[*map(words, row.values.values()), *map(str, row.measures.values()), str(_runs(row))] for row in rows]
    lines = table(header, cells, "<" * len(names) + ">" * (len(measures) + 1))
    if max(map(len, lines)) <= columns:
        return lines
    paragraphs = []
    for row in cells:
        pairs = [f"{name} {cell}" for name, cell in zip(header, row, strict=True)]
        axes, values = ", ".join(pairs[: len(names)]), pairs[len(names) :]
        paragraphs += textwrap.wrap(axes, columns)
        for value in values:
            paragraphs += textwrap.wrap(value, columns, initial_indent="  ", subsequent_indent="    ")
    return paragraphs


def _runs(row: Row) -> int:
    return max((measure.n for measure in row.measures.values()), default=0)


def _failures(done: Sweep) -> Iterator[str]:
    for member, answer in done.failed:
        yield f"{member.told}: {answer.status}" + (f": {answer.error}" if answer.error else "")


def _print_plan(family: Family, stages: Sequence[SharedStage], *, as_json: bool) -> None:
    from dataclasses import asdict

    from nnpipe.cli.text import table

    if as_json:
        told = {"spec": family.name, "combinations": len(family.members), "stages": [asdict(s) for s in stages]}
        print(json.dumps(told))
        return
    header = ("stage", "combinations", "different", "reuse", "resume", "compute")
    rows = [list(map(str, asdict(stage).values())) for stage in stages]
    print("\n".join(table(header, rows, "<>>>>>")))
    waiting, whole = sum(s.resume + s.compute for s in stages), sum(s.different for s in stages)
    shared = sum(stage.combinations - stage.different for stage in stages)
    todo = f"{waiting} of {whole} stages to do" if waiting else "nothing to do"
    print(f"{len(family.members)} combinations; {todo}; {shared} are shared")
