"""``nnpipe report``: where the pictures and numbers of a network are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, Ref, StoreFolder
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.store.canonical import JSON
    from nnpipe.store.store import Store


def report(
    name: Ref,
    store: StoreFolder = DEFAULT_STORE,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print the path of the newest report on a network."""
    path = _newest(existing_store(store), name)
    print(path)
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _newest(store: Store, name: str) -> Path:
    run = store.runs.get(name)
    if run:
        found = _report(store, run)
    else:
        from nnpipe.pipeline.run import resolve

        wanted = resolve(store, name)
        runs = (run for run in store.runs.newest_first() if any(s["artifact"] == wanted for s in run["stages"]))
        found = next((path for path in (_report(store, run) for run in runs) if path), None)
    if found is None:
        raise UsageError(f"no report tells of {name}", where=str(store.root), hint="nnpipe run SPEC makes one")
    return found


def _report(store: Store, run: JSON) -> Path | None:
    """The report of a run or of a sweep, if it came that far and is still there."""
    ids = [stage["artifact"] for stage in run["stages"] if stage["name"] in ("report", "sweep")]
    path = store.directory(ids[0]) / "report.html" if ids else None
    return path if path and path.exists() else None
