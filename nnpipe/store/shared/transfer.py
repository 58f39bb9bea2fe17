"""Copying artifacts between a store on this machine and a remote one, with what makes them findable there.

Champions stay what they are on either side: a network becomes champion where it is promoted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnpipe.errors import CorruptionError
from nnpipe.store.champions import LABEL
from nnpipe.store.collect import with_origins
from nnpipe.store.durable import write_file
from nnpipe.store.record import Record, record_bytes
from nnpipe.store.store import Store

if TYPE_CHECKING:
    from nnpipe.store.canonical import JSON
    from nnpipe.store.shared.store import SharedStore


@dataclass(frozen=True)
class Bundle:
    """What is copied together. records: recipes whose artifacts are; runs: by name; refs: ref -> artifact."""

    artifacts: frozenset[str]
    records: tuple[Record, ...]
    runs: dict[str, JSON]
    refs: dict[str, str]


@dataclass(frozen=True)
class Copied:
    """How much was not there yet, and is now. bytes: of payload."""

    artifacts: int
    bytes: int
    recipes: int
    runs: int
    refs: tuple[str, ...]


def bundle(store: Store, wanted: Iterable[str] | None, refs: Iterable[str]) -> Bundle:
    """Everything that belongs to some artifacts: what they were made from, and the last run that tells of each.

    wanted: artifact ids; None: everything that is in the store.
    refs: that go along.
    """
    records = list(store.records())
    if wanted is None:
        runs = {run["run"]: run for run in store.runs.newest_first()}
        ids = {*store.artifacts()}
    else:
        wanted = list(wanted)
        runs = {run["run"]: run for id_ in wanted if (run := _telling(store, id_))}
        made = {stage["artifact"] for run in runs.values() for stage in run["stages"]}
        ids = {id_ for id_ in with_origins(records, {*wanted, *made}) if store.has(id_)}
    named = {name: id_ for name in refs if not name.endswith(f"/{LABEL}") and (id_ := store.refs.get(name))}
    return Bundle(frozenset(ids), tuple(record for record in records if record.artifact in ids), runs, named)


def push(store: Store, shared: SharedStore, what: Bundle) -> Copied:
    """Send ``what`` of ``store`` to the remote store behind ``shared``, whose cache it is; a recipe there stays.

    Raises:
        CorruptionError: an artifact here is damaged; nothing was sent.
        RemoteError: the place cannot be reached.
    """
    damaged = next((id_ for id_ in sorted(what.artifacts) if not store.intact(id_)), None)
    if damaged:
        hint = "nnpipe verify --repair computes it again"
        raise CorruptionError("an artifact here is damaged", where=str(store.directory(damaged)), hint=hint)
    remote = shared.remote
    shared.line.ask(remote.prepare)
    there, known = set(remote.artifacts()), {name[3:-5] for name in remote.documents("recipes")}
    size = 0
    for id_ in sorted(what.artifacts - there):
        artifact = store.artifact(id_)
        remote.send(id_, artifact.directory, artifact.manifest)
        size += artifact.size
    for record in what.records:
        if record.key not in known:
            remote.publish(record, store.directory(record.artifact), store.artifact(record.artifact).manifest)
    runs = what.runs.keys() - {name.removesuffix(".json") for name in remote.documents("runs")}
    for run in sorted(runs):
        shared.runs.send(run)
    for ref in what.refs:
        shared.refs.send(ref)
    new = sum(record.key not in known for record in what.records)
    return Copied(len(what.artifacts - there), size, new, len(runs), tuple(what.refs))


def pull(shared: SharedStore, what: Bundle) -> Copied:
    """Bring ``what`` of the remote store behind ``shared`` into its cache, as if it had been made here.

    Raises:
        CorruptionError: an artifact there is damaged.
        RemoteError: the place cannot be reached.
    """
    local = shared.cache()
    missing = sorted(id_ for id_ in what.artifacts if not local.has(id_))
    for id_ in missing:
        shared.bring(id_)
    new = [record for record in what.records if local.find(record.key) is None]
    for record in new:
        write_file(local.recipe_path(record.key), record_bytes(record))
    runs = [run for name, run in what.runs.items() if local.runs.get(name) is None]
    for run in runs:
        local.runs.put(run)
    for name, id_ in what.refs.items():
        local.refs[name] = id_
    size = sum(local.artifact(id_).size for id_ in missing)
    return Copied(len(missing), size, len(new), len(runs), tuple(what.refs))


def _telling(store: Store, artifact: str) -> JSON | None:
    """The last run that tells of an artifact, of those that went well if there are any."""
    told = None
    for run in store.runs.newest_first():
        if any(stage["artifact"] == artifact for stage in run["stages"]):
            if run.get("status") == "done":
                return run
            told = told or run
    return told
