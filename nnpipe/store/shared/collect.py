"""Garbage collection of a shared store: by the same rules, for the remote store and for the cache of this machine.

Times are those of the remote store's clock. A run that decides in this moment to reuse an old artifact that goes
computes it again when it needs it; nothing else can be lost to a collection.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.store.artifact import MANIFEST
from nnpipe.store.collect import (
    COLLECTING,
    HALF_WRITTEN,
    HOUR,
    Collection,
    Garbage,
    Policy,
    found_in,
    reachable,
    removed,
)
from nnpipe.store.history import old_runs
from nnpipe.store.lease import WEEK, began
from nnpipe.store.record import Record
from nnpipe.store.shared.store import MOVING, SharedStore
from nnpipe.store.store import Store

if TYPE_CHECKING:
    from nnpipe.store.shared.objects import Entry

RUN = re.compile(r"\d{8}-\d{6}-.+")


@dataclass(frozen=True)
class _Doomed:
    """Something remote to remove: how it is told, and its objects in the order in which they go."""

    garbage: Garbage
    names: tuple[str, ...]


def collect_shared(store: SharedStore, policy: Policy, *, dry_run: bool = False) -> Collection:
    """Remove what ``policy`` does not keep from the remote store and from the cache, or only tell it.

    What a run has made and could not send yet stays.

    Raises:
        RemoteError: the place cannot be reached.
        CorruptionError: a move of a champion cannot be read; nothing was removed.
    """
    cache, remote = store.cache(), store.remote
    if dry_run:
        return _survey(store, cache, policy)[0]
    with store.lock(COLLECTING), remote.leases.hold(MOVING):
        found, doomed, reached = _survey(store, cache, policy)
        for each in doomed:
            remote.objects.remove(*each.names)
            if each.garbage.what == "record of a run":
                store.runs.remove(each.garbage.name)

        def find() -> Collection:
            return Collection(tuple(found_in(cache, policy, reached, found.since, time.time())), 0, 0, ())

        local = removed(cache, find)
    return Collection((*(each.garbage for each in doomed), *local.garbage), found.kept, found.since, found.live)


def _survey(store: SharedStore, cache: Store, policy: Policy) -> tuple[Collection, list[_Doomed], set[str]]:
    now = store.line.ask(store.remote.now)
    folders: dict[str, list[Entry]] = defaultdict(list)
    for entry in store.remote.objects.entries(""):
        folders[entry.name.partition("/")[0]].append(entry)
    live = [name for name in (e.name.removeprefix("live/") for e in folders["live"]) if _under_way(name, now)]
    since = min([now, *map(began, live)]) - policy.grace
    artifacts = _artifacts(folders["objects"])
    unsent = (record.artifact for key in store.outbox.names("recipes") if (record := cache.recipe(key)))
    used = (id_ for id_ in cache.artifacts() if cache.directory(id_).stat().st_mtime >= time.time() - policy.grace)
    recent = [id_ for id_, entries in artifacts.items() if max(e.modified for e in entries) >= since]
    records = list(store.remote.recipes())
    reached = reachable(store, [*cache.recipes(), *records], policy, chain(recent, used, unsent))
    doomed = [
        *_recipes(records, folders["recipes"], reached, since),
        *_objects(artifacts, reached),
        *_remains(folders, since, now),
        *(_quarantined(folders["quarantine"], since) if policy.quarantine else ()),
        *(_old_records(store, policy.keep_records) if policy.keep_records is not None else ()),
    ]
    local = found_in(cache, policy, reached, since, time.time())
    kept = sum(id_ in reached for id_ in artifacts)
    garbage = (*(each.garbage for each in doomed), *local)
    return Collection(garbage, kept, since, tuple(live)), doomed, reached


def _artifacts(entries: list[Entry]) -> dict[str, list[Entry]]:
    """The objects of each artifact, and of each that was never sent whole; the manifest first, for it goes first."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: not entry.name.endswith(f"/{MANIFEST}")):
        found[entry.name.split("/")[2]].append(entry)
    return found


def _recipes(records: list[Record], entries: list[Entry], reached: set[str], since: float) -> Iterator[_Doomed]:
    ages = {Path(entry.name).stem: entry for entry in entries}
    for record in records:
        entry = ages.get(record.key)
        if entry and record.artifact not in reached and entry.modified < since:
            yield _doomed("recipe", f"{record.recipe['stage']} {record.key}", [entry])


def _objects(artifacts: dict[str, list[Entry]], reached: set[str]) -> Iterator[_Doomed]:
    for id_, entries in artifacts.items():
        whole = entries[0].name.endswith(f"/{MANIFEST}")
        if id_ not in reached:
            yield _doomed("artifact" if whole else "interrupted upload", id_, entries)


def _remains(folders: dict[str, list[Entry]], since: float, now: float) -> Iterator[_Doomed]:
    for folder, old in (("probe", since), ("leases", now - 24 * HOUR)):  # a lease that lives is written all the time
        for entry in folders[folder]:
            if entry.modified < old:
                yield _doomed("lease" if folder == "leases" else "probe", entry.name, [entry])
    for entry in folders["live"]:
        if not _under_way(entry.name.removeprefix("live/"), now):
            yield _doomed("lease", entry.name, [entry])
    for entry in chain.from_iterable(folders.values()):
        if HALF_WRITTEN.fullmatch(Path(entry.name).name) and entry.modified < since:
            yield _doomed("half-written file", entry.name, [entry])


def _under_way(run: str, now: float) -> bool:
    return bool(RUN.fullmatch(run)) and began(run) > now - WEEK


def _quarantined(entries: list[Entry], since: float) -> Iterator[_Doomed]:
    for entry in entries:
        if entry.modified < since:
            yield _doomed("quarantine", entry.name, [entry])


def _old_records(store: SharedStore, keep: int) -> Iterator[_Doomed]:
    for name in old_runs(store, keep):
        yield _Doomed(Garbage("record of a run", name, Path(f"runs/{name}.json"), 0), (f"runs/{name}.json",))


def _doomed(what: str, name: str, entries: list[Entry]) -> _Doomed:
    path = Path(entries[0].name)
    size = sum(entry.size for entry in entries)
    return _Doomed(Garbage(what, name, path, size), tuple(entry.name for entry in entries))
