"""What must hold of a store at any moment, whatever happened to the processes that wrote to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from nnpipe.errors import CorruptionError
from nnpipe.store.artifact import MANIFEST
from nnpipe.store.canonical import digest
from nnpipe.store.record import Record
from nnpipe.store.store import Store


def problems(store: Store) -> list[str]:
    """Everything that is wrong: a sound store, of which nothing was moved to quarantine, has none."""
    if not store.root.exists():
        return []
    return list(chain(_artifacts(store), _recipes(store), _refs(store), _runs(store), _checkpoints(store)))


def _artifacts(store: Store) -> Iterator[str]:
    for id_ in store.artifacts():
        yield from damage_of_artifact(store, id_)


def damage_of_artifact(store: Store, id_: str) -> list[str]:
    """Files that are missing, changed, or not the artifact's own: what ``nnpipe verify`` looks for."""
    try:
        artifact = store.artifact(id_)
    except CorruptionError as error:
        return [str(error)]
    found = []
    for name in artifact.manifest.files:
        try:
            artifact.verify(name)
        except CorruptionError as error:
            found.append(str(error))
    own = {artifact.directory / name for name in (*artifact.manifest.files, MANIFEST)}
    there = {path for path in artifact.directory.rglob("*") if not path.is_dir()}
    return [*found, *(f"{path}: not a file of the artifact" for path in sorted(there - own))]


def _recipes(store: Store) -> Iterator[str]:
    for path in (store.root / "recipes").glob("??/*.json"):
        try:
            record = Record(**json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            yield f"{path}: not a recipe: {error}"
            continue
        if digest("nnpipe/recipe/1", record.recipe) != record.key or path.stem != record.key:
            yield f"{path}: its key is not that of its ingredients"
        if record.artifact not in store.artifacts():
            yield f"{path}: its artifact is not there"
            continue
        with suppress(CorruptionError):  # which was told already
            if store.artifact(record.artifact).manifest.content != record.content:
                yield f"{path}: its artifact has another content"


def _refs(store: Store) -> Iterator[str]:
    for name in store.refs.names():
        if store.refs[name] not in store.artifacts():
            yield f"ref {name}: the artifact it points at is not there"


def _runs(store: Store) -> Iterator[str]:
    for path in (store.root / "runs").glob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            yield f"{path}: not a run: {error}"


def _checkpoints(store: Store) -> Iterator[str]:
    for path in (store.root / "work").glob("*/checkpoint-*"):
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem.rpartition("-")[2]:
            yield f"{path}: not the state that was written"
