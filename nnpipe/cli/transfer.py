"""``nnpipe push`` and ``pull``: artifacts from a store here to a shared one, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, StorePlace
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.store.shared.store import SharedStore
    from nnpipe.store.shared.transfer import Bundle, Copied
    from nnpipe.store.store import Store

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REF]...",
        help="Refs, names of specs, runs, beginnings of artifact ids; everything if left out.",
        show_default=False,
    ),
]
URL_HINT = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"


def _place(option: str) -> Any:
    """The option that names the shared store."""
    return typer.Option(option, metavar="URL", help=f"{URL_HINT}; by default --store, if it is one.")


def push(
    names: Names = None,
    to: Annotated[str | None, _place("--to")] = None,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Send artifacts to a shared store, with their recipes, runs and refs, and what a run could not send."""
    from nnpipe.store.shared.transfer import push as copy

    shared = _shared(store, to, "--to")
    shared.prepare()
    sent, local = shared.send(), shared.cache()
    _tell(copy(local, shared, _bundle(local, names)), "sent to", shared.place, as_json=as_json, before=sent)


def pull(
    names: Names = None,
    source: Annotated[str | None, _place("--from")] = None,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Fetch artifacts from a shared store, with their recipes, runs and refs."""
    from nnpipe.store.shared.transfer import pull as copy

    shared = _shared(store, source, "--from")
    if not shared.exists():
        raise UsageError("no store here", where=shared.place, hint="nnpipe push --to URL makes one")
    _tell(copy(shared, _bundle(shared, names)), "fetched from", shared.place, as_json=as_json)


def _shared(place: str, url: str | None, option: str) -> SharedStore:
    """The remote store at ``url`` behind the store at ``place``, or at ``place`` itself, behind its cache."""
    from nnpipe.api import open_store
    from nnpipe.store.opening import behind, is_url, place_of
    from nnpipe.store.shared.store import SharedStore

    if is_url(place):
        if url is not None and place_of(url) != place_of(place):
            hint = f"leave out {option}, or name a folder with --store"
            raise UsageError("two shared stores", expected="one, and a store of this machine", hint=hint)
        url = None
    elif url is None:
        raise UsageError(f"{option} is missing", expected=f"{option} URL: {URL_HINT}")
    elif not is_url(url):
        raise UsageError("not the place of a shared store", where=option, expected=URL_HINT, found=url)
    opened = open_store(place) if url is None else behind(place, url)
    assert isinstance(opened, SharedStore)
    return opened


def _bundle(store: Store, names: list[str] | None) -> Bundle:
    from nnpipe.pipeline.run import resolve
    from nnpipe.store.shared.transfer import bundle

    if not names:
        return bundle(store, None, store.refs.names())
    refs = [ref for name in names for ref in (name, f"{name}/latest") if ref in store.refs]
    return bundle(store, [resolve(store, name) for name in names], refs)


def _tell(copied: Copied, how: str, place: str, *, as_json: bool, before: int = 0) -> None:
    from dataclasses import asdict

    from nnpipe.cli.text import size

    if as_json:
        print(json.dumps({**asdict(copied), "place": place, "left_over": before}))
        return
    refs = f"; refs {', '.join(copied.refs)}" if copied.refs else ""
    counts = f"{copied.artifacts} artifacts ({size(copied.bytes)}), {copied.recipes} recipes, {copied.runs} runs"
    print(f"{how} {place}: {counts} that were not there{refs}")
    if before:
        print(f"{before} things were left from runs that could not send them")
