"""``nnpipe verify``: whether a store holds what was written, and what to do where it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpipe.cli.options import DEFAULT_STORE, StorePlace
from nnpipe.cli.store import existing_store
from nnpipe.errors import CorruptionError

if TYPE_CHECKING:
    from nnpipe.store.store import Store


def verify(
    store: StorePlace = DEFAULT_STORE,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Move damaged artifacts away, so that runs compute them again.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged artifacts away, and compute them again from their runs.")
    ] = False,
) -> None:
    """Read every artifact and recipe; exit status 3 if one is damaged, and was not repaired."""
    opened = existing_store(store)
    recipes, damaged = _damaged_recipes(opened), _damaged(opened)
    for path in recipes:
        print(f"damaged: {path}: not the recipe that was written", file=sys.stderr)
        if quarantine or repair:
            print(f"  moved to  {opened.discard(path)}", file=sys.stderr)
    for id_, problems in damaged.items():
        for problem in problems:
            print(f"damaged: {problem}", file=sys.stderr)
        if opened.directory(id_).exists() and (quarantine or repair):
            print(f"  moved to  {opened.quarantine(id_)}", file=sys.stderr)
    found = len(damaged) + len(recipes)
    left = _repaired(opened, damaged) if repair else found
    if left:
        raise CorruptionError(
            f"{found} of {len(opened.artifacts())} artifacts are damaged",
            where=str(store),
            found=f"{left} could not be restored" if repair else None,
            hint=None if repair else "nnpipe verify --repair computes them again",
        )
    print(f"{len(opened.artifacts())} artifacts are what was written")


def _damaged(store: Store) -> dict[str, list[str]]:
    """Artifact id -> what is wrong with it, for those that are damaged, and those that a ref points at in vain."""
    ids = store.artifacts()
    damaged = {id_: problems for id_ in ids if (problems := _damage(store, id_)) and store.directory(id_).exists()}
    for name in store.refs.names():
        if not store.directory(store.refs[name]).exists():
            damaged.setdefault(store.refs[name], []).append(f"{name}: the artifact it points at is gone")
    return damaged


def _damaged_recipes(store: Store) -> list[Path]:
    """Recipes that cannot be read, or whose ingredients are not those of their key."""
    from nnpipe.pipeline.recipe import recipe_key

    damaged = []
    for path in sorted((store.root / "recipes").glob("??/*.json")):
        try:
            record = json.loads(path.read_bytes())
            sound = recipe_key(record["recipe"]) == record["key"] == path.stem
        except FileNotFoundError:
            continue  # collected while we looked
        except (ValueError, TypeError, KeyError):
            sound = False
        if not sound:
            damaged.append(path)
    return damaged


def _repaired(store: Store, damaged: Iterable[str]) -> int:
    """Compute damaged artifacts again; how many could not be restored."""
    from nnpipe.cli.reproduce import restore

    outcome = restore(store, damaged)
    for id_, problem in outcome.items():
        print(f"restored: {id_}" if problem is None else f"not restored: {id_}: {problem}", file=sys.stderr)
    return sum(problem is not None for problem in outcome.values())


def _damage(store: Store, id: str) -> list[str]:  # noqa: A002
    """What is wrong with an artifact: files that are missing, changed, or not its own."""
    try:
        artifact = store.artifact(id)
    except CorruptionError as error:
        return [str(error)]
    problems = []
    for name in artifact.manifest.files:
        try:
            artifact.verify(name)
        except CorruptionError as error:
            problems.append(str(error))
    known = {*artifact.manifest.files, "manifest.json"}
    there = (path for path in sorted(artifact.directory.rglob("*")) if not path.is_dir())
    strangers = (path for path in there if path.relative_to(artifact.directory).as_posix() not in known)
    return [*problems, *(f"{path}: a file that the artifact does not have" for path in strangers)]
