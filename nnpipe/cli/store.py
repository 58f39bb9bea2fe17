"""``nnpipe ls`` and ``show``: what a store holds, and how it came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Ref, StorePlace
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.store.store import Store


def existing_store(place: str) -> Store:
    """The store at ``place``; UsageError if there is none."""
    from nnpipe.api import open_store
    from nnpipe.store.opening import is_url

    # Of a folder it is looked for first: one that holds something else is no store either.
    opened = open_store(place) if is_url(place) or (Path(place) / "format.json").exists() else None
    if opened is None or not opened.exists():
        hint = "nnpipe run makes one; --store PLACE or NNPIPE_STORE names another"
        raise UsageError("no store here", where=place, hint=hint)
    return opened


# -- ls ------------------------------------------------------------------------------------------------------


def ls(
    store: StorePlace = DEFAULT_STORE,
    number: Annotated[int, typer.Option("-n", min=0, metavar="N", help="How many runs.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List refs, the last runs, and the size of the store."""
    opened = existing_store(store)
    listing = _listing(opened, number)
    print(json.dumps(listing) if as_json else "\n".join(_listed(listing)))


def _listing(store: Store, number: int) -> dict[str, Any]:
    from itertools import islice

    fields = ("run", "spec", "status", "started", "seconds", "metrics")
    sizes = store.sizes()
    return {
        "store": store.told,
        "refs": {name: store.refs[name] for name in store.refs.names()},
        "runs": [{key: run.get(key) for key in fields} for run in islice(store.runs.newest_first(), number)],
        "artifacts": len(sizes),
        "bytes": sum(sizes.values()),
    }


def _listed(listing: dict[str, Any]) -> list[str]:
    from nnpipe.cli.text import SHORT, duration, size, table, when

    lines = []
    if listing["refs"]:
        lines += [*table(("ref", "artifact"), [(n, id_[:SHORT]) for n, id_ in listing["refs"].items()], "<<"), ""]
    rows = []
    for run in listing["runs"]:
        shown = result(run["metrics"] or {})
        rows.append((run["run"], run["status"], when(run["started"]), shown, duration(run["seconds"])))
    if rows:
        lines += [*table(("run", "status", "when", "result", "took"), rows, "<<<<>"), ""]
    return [*lines, f"{listing['artifacts']} artifacts, {size(listing['bytes'])} in {listing['store']}"]


def result(metrics: dict[str, float]) -> str:
    """The one measure that a run is told by, for classes, numbers or inputs given back; a dash where there is none."""
    for name, told in (("test_accuracy", "accuracy"), ("test_r2", "R2"), ("test_squared_error", "squared error")):
        if name in metrics:
            return f"{told} {metrics[name]:.4f}"
    return "-"


# -- show ----------------------------------------------------------------------------------------------------


def show(
    name: Ref,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show how an artifact came about, or what a run did."""
    opened = existing_store(store)
    run = opened.runs.get(name)
    if as_json:
        print(json.dumps(run or _artifact(opened, name)))
    elif run:
        print("\n".join(_run_shown(run, _intervals(opened, run))))
    else:
        print("\n".join(_artifact_shown(_artifact(opened, name))))


def _artifact(store: Store, name: str) -> dict[str, Any]:
    from nnpipe.pipeline.run import resolve

    artifact = store.artifact(resolve(store, name))
    made = [record for record in store.records() if record.artifact == artifact.id]
    newest = max(made, key=lambda record: str(record.made.get("at")), default=None)
    return {
        "artifact": artifact.id,
        "stage": artifact.manifest.stage,
        "content": artifact.manifest.content,
        "directory": store.where(artifact.id),
        "refs": [ref for ref in store.refs.names() if store.refs[ref] == artifact.id],
        "key": newest.key if newest else None,
        **({key: newest.recipe.get(key) for key in ("config", "code", "inputs", "seed")} if newest else {}),
        "files": artifact.manifest.to_json()["files"],
        "made": newest.made if newest else None,
        "summary": artifact.summary,
        "champion": _champion_of(store, artifact.id),
    }


def _champion_of(store: Store, artifact: str) -> dict[str, Any]:
    """Name -> every move of its champion, for those that an artifact is."""
    from nnpipe.cli.promote import history
    from nnpipe.store.champions import Champions

    champions = Champions(store)
    return {name: history(store, name) for name in champions.names() if champions.current(name) == artifact}


def _artifact_shown(shown: dict[str, Any]) -> list[str]:
    from nnpipe.cli.text import SHORT, duration, size, table, when

    head = [
        ("artifact", shown["artifact"]),
        ("stage", shown["stage"]),
        ("content", shown["content"]),
        ("where", shown["directory"]),
        ("refs", " ".join(shown["refs"]) or "-"),
    ]
    made = shown["made"]
    if made:
        environment = made.get("environment") or {}
        versions = environment.get("versions") or {}
        told = [f"{package} {versions[package]}" for package in ("nnpipe", "torch") if package in versions]
        head += [
            ("recipe", f"{shown['key']} ({len(shown['code'])} modules of code, seed {shown['seed']})"),
            ("made", f"{when(made.get('at'))} in {duration(made.get('seconds'))} by run {made.get('run')}"),
            ("on", ", ".join([made.get("device", ""), f"Python {environment.get('python')}", *told])),
        ]
    files = [(name, size(file["size"]), file["sha256"][:SHORT]) for name, file in shown["files"].items()]
    sections = {"files": ["  " + line for line in table(("file", "size", "sha256"), files, "<><")]}
    sections["inputs"] = _fields({name: digest[:SHORT] for name, digest in (shown.get("inputs") or {}).items()})
    sections["config"] = _fields(shown.get("config"))
    sections["summary"] = _fields(shown["summary"])
    for champion, moves in shown["champion"].items():
        sections |= _promotion_shown(champion, moves)
    lines = [f"{name:<9} {value}" for name, value in head]
    return lines + [line for title, body in sections.items() if body for line in (title, *body)]


def _promotion_shown(name: str, moves: list[dict[str, Any]]) -> dict[str, list[str]]:
    """How an artifact became champion, and every move before."""
    from nnpipe.cli.promote import moves_told, verdict_told

    verdict = moves[-1]["verdict"] if moves else None
    told = verdict_told(verdict) if verdict else []
    sections = {f"gate of {name}/champion": told}
    return sections | {f"moves of {name}/champion": ["  " + line for line in moves_told(moves)] if moves else []}


def _intervals(store: Store, run: dict[str, Any]) -> dict[str, Any]:
    """Metric -> its interval, from the run's evaluation; empty where that is gone or has none."""
    for stage in run["stages"]:
        if stage["name"] == "evaluate" and store.has(stage["artifact"]):
            found: dict[str, Any] = store.artifact(stage["artifact"]).summary.get("intervals", {})
            return found
    return {}


def _run_shown(run: dict[str, Any], intervals: dict[str, Any]) -> list[str]:
    from nnpipe.cli.promote import promotion_told
    from nnpipe.cli.text import SHORT, duration, measure, table, when

    lines = [
        f"run       {run['run']}",
        f"status    {run['status']}",
        f"started   {when(run.get('started'))}, took {duration(run['seconds'])}",
    ]
    lines += [f"error     {run['error']}"] if run.get("error") else []
    lines += [f"report    {run['report']}"] if run["report"] else []
    found = [
        (name.replace("_", " "), measure(value), " to ".join(map(measure, intervals.get(name, ()))))
        for name, value in (run["metrics"] or {}).items()
    ]
    if found:
        lines += ["metrics", *("  " + line for line in table(("measure", "value", "95 % interval"), found, "<><"))]
    lines += promotion_told(run["promotion"]) if run.get("promotion") else []
    lines += [f"warning   {warning}" for warning in run.get("warnings", ())]
    rows = [(s["name"], s["status"], s["artifact"][:SHORT], duration(s["seconds"])) for s in run["stages"]]
    return [*lines, "stages", *("  " + line for line in table(("stage", "status", "artifact", "took"), rows, "<<<>"))]


def _fields(value: Any) -> list[str]:
    from nnpipe.cli.text import dotted

    pairs = list(dotted(value)) if value else []
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in pairs]
