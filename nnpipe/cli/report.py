"""``nnpipe report``: where the pictures and numbers of a network are; runs side by side; all runs on one page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.export import check_place
from nnpipe.cli.options import DEFAULT_STORE, StorePlace
from nnpipe.cli.store import existing_store, result
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.stages.report_comparison import Side
    from nnpipe.store.canonical import JSON
    from nnpipe.store.store import Store

MOST = 4  # runs side by side: more do not fit beside each other, and a sweep is made for them


def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF",
            help="A ref, a spec's name, a run or the beginning of an artifact id; of two to four a page compares them.",
            show_default=False,
        ),
    ] = None,
    store: StorePlace = DEFAULT_STORE,
    index: Annotated[bool, typer.Option("--index", help="Make a page of all runs.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where to write a page; by default compare-A-B.html here, or index.html in the store.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PATH if it is there.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print the path of the newest report on a network; compare several; list all."""
    wanted = names or []
    _check(wanted, out, index=index)
    opened = existing_store(store)
    if index:
        path = out or opened.root / "index.html"
        check_place(path, overwrite=overwrite or out is None)
        _write(path, _index(opened, path.resolve().parent))
    elif len(wanted) > 1:
        path = out or Path("-".join(["compare", *(re.sub(r"[^\w.-]+", "-", name) for name in wanted)]) + ".html")
        check_place(path, overwrite=overwrite)
        _write(path, _comparison(opened, wanted, path.resolve().parent))
    else:
        path = _newest(opened, wanted[0])
    print(path)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _check(names: Sequence[str], out: Path | None, *, index: bool) -> None:
    if index == bool(names):
        raise UsageError(
            "no page is asked for" if not names else "--index is about all runs",
            expected="one name, two to four to compare, or --index alone",
            found=" ".join(names) or None,
        )
    if len(names) > MOST:
        raise UsageError(
            f"{len(names)} runs do not fit beside each other",
            expected=f"at most {MOST}",
            hint="nnpipe sweep compares many runs",
        )
    if out is not None and len(names) == 1:
        raise UsageError("a single report lies in the store, and is not written again", hint="leave --out away")


def _write(path: Path, page: str) -> None:
    from nnpipe.store.durable import write_file

    write_file(path, page.encode())


def _link(path: Path, folder: Path) -> str:
    """From a page in ``folder`` to a file, as long as both stay where they are."""
    from urllib.parse import quote

    return quote(Path(os.path.relpath(path.resolve(), folder)).as_posix())


# -- one -----------------------------------------------------------------------------------------------------


def _newest(store: Store, name: str) -> Path:
    found = next((path for path in (_report(store, run) for run in _runs(store, name)) if path), None)
    if found is None:
        raise UsageError(f"no report tells of {name}", where=store.told, hint="nnpipe run SPEC makes one")
    return found


def _runs(store: Store, name: str) -> Iterator[dict[str, Any]]:
    """The run that is called ``name``, or those that have the artifact that it means, the last one first."""
    from nnpipe.pipeline.run import resolve

    run = store.runs.get(name)
    if run:
        yield run
        return
    wanted = resolve(store, name)
    yield from (run for run in store.runs.newest_first() if any(s["artifact"] == wanted for s in run["stages"]))


def _report(store: Store, run: JSON) -> Path | None:
    """The report of a run or of a sweep, if it came that far and is still there."""
    ids = [stage["artifact"] for stage in run["stages"] if stage["name"] in ("report", "sweep")]
    if not ids or not store.has(ids[0]):
        return None
    path = store.bring(ids[0]) / "report.html"
    return path if path.exists() else None


# -- several -------------------------------------------------------------------------------------------------


def _comparison(store: Store, names: Sequence[str], folder: Path) -> str:
    from nnpipe.stages.report_comparison import comparison

    sides = [_side(store, name, folder) for name in names]
    known: dict[str, str] = {}
    for side in sides:
        first = known.setdefault(str(side.run["run"]), side.name)
        if first != side.name or names.count(first) > 1:
            raise UsageError("the same run twice", found=f"{first} and {side.name}", expected="different runs")
    return comparison(sides)


def _side(store: Store, name: str, folder: Path) -> Side:
    from nnpipe.stages.report_comparison import READ, Side

    for run in _runs(store, name):
        ids = {stage["name"]: stage["artifact"] for stage in run["stages"]}
        if set(READ) <= ids.keys() and all(map(store.has, ids.values())):
            keys = {stage["name"]: stage["key"] for stage in run["stages"]}
            records = {stage: store.find(key) for stage, key in keys.items()}
            made = {stage: record.made if record else None for stage, record in records.items()}
            artifacts = {stage: store.artifact(id_, made[stage]) for stage, id_ in ids.items()}
            return Side(name, run, artifacts, _link(store.bring(ids["report"]) / "report.html", folder))
    raise UsageError(
        f"no run of {name} came to its report and is still here in full",
        where=store.told,
        expected="the name of a run, or of what it made",
        hint="nnpipe run SPEC makes what is missing; the report of a sweep compares its runs",
    )


# -- all -----------------------------------------------------------------------------------------------------


def _index(store: Store, folder: Path) -> str:
    from nnpipe.stages.report_index import Entry, index

    entries = []
    for run in store.runs.newest_first():
        page, picture = _report(store, run), _picture(store, run)
        links = [_link(path, folder) if path else None for path in (page, picture)]
        entries.append(Entry(run, result(run["metrics"] or {}), *links))
    return index(entries, store.root.resolve().name)


def _picture(store: Store, run: JSON) -> Path | None:
    from nnpipe.stages.report_index import shown_picture

    for stage in run["stages"]:
        if stage["name"] == "visualize" and store.has(stage["artifact"]):
            folder = store.bring(stage["artifact"])
            name = shown_picture({path.name: path for path in folder.iterdir()})
            return folder / name if name else None
    return None
