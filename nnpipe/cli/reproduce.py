"""``nnpipe reproduce``: an artifact made again from nothing but the record of its run, and compared with the first.

``restore`` does the same in place, for ``verify --repair``. Both use the local engine, and a CPU where one was used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Ref, StorePlace, Threads
from nnpipe.cli.store import existing_store
from nnpipe.errors import Interrupted, NnpipeError, UsageError

NO_RUN = "no run tells how it was made: it was killed, or its record is gone"

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.run import Run
    from nnpipe.store.canonical import JSON
    from nnpipe.store.store import Store


def reproduce(
    name: Ref,
    store: StorePlace = DEFAULT_STORE,
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep what is made in a new store there.", show_default=False),
    ] = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make an artifact again, from the data on, in an empty store; exit status 1 if it comes out different."""
    from nnpipe import api
    from nnpipe.pipeline.run import resolve

    opened = existing_store(store)
    artifact = resolve(opened, name)
    run, stage = next(_origins(opened, artifact, name), (None, ""))
    if run is None:
        raise UsageError(f"{NO_RUN}: {artifact}", where=str(opened.runs.root))
    with _empty(into) as folder:
        _bring_given(opened, run, folder)
        plan = api.plan(_quiet(run["whole_spec"]), store=folder, until=stage, root=run.get("root"))
        again = _carry_out(plan, _device(opened, run), threads=threads, quiet=quiet)
        rows = list(_compared(opened, run, again))
    same = all(row["same"] for row in rows)
    if as_json:
        print(json.dumps({"run": run["run"], "same": same, "stages": rows}))
    else:
        print("\n".join(_told(run, rows)))
    if not same:
        raise typer.Exit(1)


def _bring_given(store: Store, run: JSON, folder: Path) -> None:
    """Copy the artifact that a run was given, by the name its spec has for it, into the empty store at ``folder``."""
    import shutil

    from nnpipe.store.store import Store

    start, given = run["whole_spec"].get("train", {}).get("start"), _given(store, run)
    if not start or not given:
        return
    new, name = Store(folder), start["from"]
    new.prepare()
    shutil.copytree(store.bring(given), new.directory(given))
    if not given.startswith(name):
        new.refs[name if "/" in name else f"{name}/latest"] = given


def _given(store: Store, run: JSON) -> str | None:
    """The artifact that the network of a run started from; what was made of it may be gone."""
    records = (store.recipe(stage["key"]) for stage in run["stages"] if stage["name"] == "finetune")
    inputs = [record.made.get("inputs", {}) for record in records if record]
    return inputs[0].get("start") if inputs else None


def _compared(store: Store, run: JSON, again: Run) -> Iterator[dict[str, Any]]:
    from nnpipe.pipeline.compare import compare

    first = {stage["name"]: stage for stage in run["stages"]}
    for made in again.stages:
        before = first[made.name]
        then, now = store.find(before["key"]), again.store.find(made.key)
        yield {
            "stage": made.name,
            "original": before["content"],
            "again": made.content,
            "same": before["content"] == made.content,
            "changed": [str(difference) for difference in compare(then.recipe, now.recipe)] if then and now else [],
        }


def _told(run: JSON, rows: list[dict[str, Any]]) -> list[str]:
    from nnpipe.cli.text import SHORT, table

    cells = [
        (row["stage"], row["original"][:SHORT], row["again"][:SHORT], "same" if row["same"] else "differs")
        for row in rows
    ]
    lines = table(("stage", "original", "again", "content"), cells, "<<<<")
    differing = [row for row in rows if not row["same"]]
    if not differing:
        return [*lines, f"{run['run']} is reproduced: the same content in every stage"]
    first = differing[0]
    lines.append(f"{first['stage']} is the first that differs")
    return [*lines, *(f"  changed since then: {change}" for change in first["changed"])]


@contextmanager
def _empty(folder: Path | None) -> Iterator[Path]:
    """An empty folder for a store: ``folder``, or one that goes afterwards."""
    import tempfile

    if folder is None:
        with tempfile.TemporaryDirectory(prefix="nnpipe-reproduce-") as temporary:
            yield Path(temporary)
        return
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        hint = "what is there already would be reused, and nothing would be shown by that"
        raise UsageError("not an empty folder", where=str(folder), expected="a new or an empty folder", hint=hint)
    yield folder


# -- verify --repair -----------------------------------------------------------------------------------------


def restore(store: Store, lost: Iterable[str]) -> dict[str, str | None]:
    """Compute lost artifacts again, each after those it is made from; artifact id -> why it could not be, or None."""
    origins = {artifact: list(_origins(store, artifact)) for artifact in lost}
    outcome: dict[str, str | None] = {}
    for artifact in sorted(origins, key=lambda id_: _place(origins[id_])):
        try:
            outcome[artifact] = _restore(store, artifact, origins[artifact])
        except Interrupted:
            raise
        except NnpipeError as error:
            outcome[artifact] = str(error)
    return outcome


def _place(origins: list[tuple[JSON, str]]) -> int:
    """How late in its run an artifact comes."""
    return min(([stage["name"] for stage in run["stages"]].index(name) for run, name in origins), default=0)


def _restore(store: Store, artifact: str, origins: list[tuple[JSON, str]]) -> str | None:
    from nnpipe import api

    if store.has(artifact):
        return None  # on the way to another one
    unlike = []
    for run, stage in origins:
        plan = api.plan(_started(store, run, stage), store=store.place, until=stage, root=run.get("root"))
        reason = _unlike(plan, run)
        if reason is None:
            return _recompute(store, artifact, run, plan)
        unlike.append(reason)
    return unlike[0] if unlike else NO_RUN


def _recompute(store: Store, artifact: str, run: JSON, plan: Plan) -> str | None:
    latest = f"{plan.spec.name}/latest"
    known = latest in store.refs
    before = store.refs[latest] if known else ""
    made = _carry_out(plan, _device(store, run)).stages[-1]
    if known and store.refs[latest] != before:
        store.refs[latest] = before  # a repair is no new result
    original = next(stage for stage in run["stages"] if stage["name"] == made.name)
    if made.content != original["content"]:
        return f"it was computed again, and came out different: {made.artifact}"
    for name in store.refs.names():  # the bytes of a report tell its times, its content does not
        if store.refs[name] == artifact != made.artifact:
            store.refs[name] = made.artifact
    return None


def _unlike(plan: Plan, run: JSON) -> str | None:
    """Why a plan is not what the run was: the first stage with another recipe."""
    keys = {stage["name"]: stage["key"] for stage in run["stages"]}
    for planned in plan.stages:
        name = planned.stage.name
        if planned.key is not None and planned.key != keys.get(name):
            return f"{name} would not be made as it was: its code, or its data, has changed since run {run['run']}"
    return None


# -- both ----------------------------------------------------------------------------------------------------


def _quiet(spec: JSON) -> JSON:
    """A spec without what would follow a run of it: what is made again is no news."""
    return {name: value for name, value in spec.items() if name not in ("promote", "hooks")}


def _started(store: Store, run: JSON, stage: str) -> JSON:
    """The spec of a run with the network that it started from, wherever its name leads; reports tell the name."""
    spec, given = _quiet(run["whole_spec"]), _given(store, run)
    start = spec.get("train", {}).get("start")
    if not start or (given and stage == "report"):
        return spec
    fresh = given is None and start.get("missing") == "fresh"
    pinned = None if fresh else {**start, "from": given or start["from"], "missing": "error"}
    return {**spec, "train": {**spec["train"], "start": pinned}}


def _origins(store: Store, artifact: str, name: str | None = None) -> Iterator[tuple[JSON, str]]:
    """Runs that made or reused an artifact and the stage it was there, the last run first; ``name``: only that run."""
    named = store.runs.get(name) if name else None
    for run in [named] if named else store.runs.newest_first():
        for stage in run["stages"]:
            if stage["artifact"] == artifact:
                yield run, stage["name"]


def _device(store: Store, run: JSON) -> Literal["cpu", "auto"]:
    """The device of a run, if it was one that is everywhere: on another one, sums are rounded otherwise."""
    records = (store.find(stage["key"]) for stage in run["stages"])
    return "cpu" if all(record.made.get("device") == "cpu" for record in records if record) else "auto"


def _carry_out(plan: Plan, device: Literal["cpu", "auto"], *, threads: int | None = None, quiet: bool = False) -> Run:
    from nnpipe import api
    from nnpipe.cli.progress import watching

    with watching(plan, sys.stderr, quiet=quiet) as observer:
        return api.execute(plan, engine="local", device=device, threads=threads, log="none", observer=observer)
