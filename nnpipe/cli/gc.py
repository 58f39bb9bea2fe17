"""``nnpipe gc``, ``pin`` and ``unpin``: what goes from a store, and what never does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Ref, StorePlace
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.store.collect import Collection

PINS = "pins"


def gc(
    store: StorePlace = DEFAULT_STORE,
    keep_runs: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many of the last runs of each spec are kept.")
    ] = 10,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="What was made or used so recently is kept.")
    ] = 3600.0,
    keep_champions: Annotated[
        int, typer.Option(min=2, metavar="N", help="How many champions of each name are kept, to roll back to.")
    ] = 3,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Remove damaged artifacts that were moved away, too.")
    ] = False,
    keep_records: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Remove records of runs, too, but for the last of each spec.", show_default="all"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what no ref, no pin and none of the last runs and champions reaches. Others may train meanwhile."""
    from nnpipe.store.collect import Policy, collect
    from nnpipe.store.opening import is_url

    opened = existing_store(store)
    policy = Policy(keep_runs, grace, quarantine, keep_champions, keep_records)
    if is_url(store):
        from nnpipe.store.shared.collect import collect_shared
        from nnpipe.store.shared.store import SharedStore

        assert isinstance(opened, SharedStore)
        done = collect_shared(opened, policy, dry_run=dry_run)
    else:
        done = collect(opened, policy, dry_run=dry_run)
    if as_json:
        garbage = [
            {"what": item.what, "name": item.name, "path": str(item.path), "bytes": item.size} for item in done.garbage
        ]
        print(json.dumps({"dry_run": dry_run, "garbage": garbage, "bytes": done.size, "kept": done.kept}))
    else:
        print("\n".join(_told(done, dry_run=dry_run)))


def _told(done: Collection, *, dry_run: bool) -> list[str]:
    """The same words for what was removed and for what would be, but for the last line."""
    import re

    from nnpipe.cli.text import SHORT, size, table

    def short(name: str) -> str:
        return re.sub(r"[0-9a-f]{64}", lambda digest: digest[0][:SHORT], name)

    lines = [f"under way, or killed within a week: {run}; what was used since it began stays" for run in done.live]
    locks = sum(item.what == "lock" for item in done.garbage)
    rows = [(item.what, short(item.name), size(item.size)) for item in done.garbage if item.what != "lock"]
    rows += [("locks", f"{locks} that nobody holds", size(0))] if locks else []
    lines += table(("what", "name", "size"), rows, "<<>") if rows else []
    lines.append(f"{len(done.garbage)} things, {size(done.size)}; {done.kept} artifacts stay")
    return [*lines, "dry run: nothing was removed"] if dry_run else lines


def pin(
    name: Ref,
    label: Annotated[
        str | None, typer.Argument(metavar="[LABEL]", help="By default the beginning of its id.", show_default=False)
    ] = None,
    store: StorePlace = DEFAULT_STORE,
) -> None:
    """Keep an artifact, and what it was made from, until it is unpinned."""
    from nnpipe.cli.text import SHORT
    from nnpipe.pipeline.run import resolve

    opened = existing_store(store)
    with opened.moving():  # a collection begins before this or after, and sees the pin
        artifact = opened.artifact(resolve(opened, name)).id
        ref = f"{PINS}/{label or artifact[:SHORT]}"
        if ref in opened.refs and opened.refs[ref] != artifact:
            found = opened.refs[ref][:SHORT]
            raise UsageError(f"{ref} is another artifact already", found=found, hint=f"nnpipe unpin {ref}")
        opened.refs[ref] = artifact
    print(f"{ref} {artifact}")


def unpin(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="As pin printed it.", show_default=False)],
    store: StorePlace = DEFAULT_STORE,
) -> None:
    """Let an artifact go at the next gc, if nothing else reaches it."""
    from nnpipe.errors import nearest

    opened = existing_store(store)
    ref = label if label.startswith(f"{PINS}/") else f"{PINS}/{label}"
    if ref not in opened.refs:
        pins = [name for name in opened.refs.names() if name.startswith(f"{PINS}/")]
        raise UsageError(f"no pin {label!r}", hint=nearest(ref, pins) or "there are no pins")
    artifact = opened.refs[ref]
    del opened.refs[ref]
    print(f"unpinned {ref} {artifact}")
