"""``nnpipe verify``: whether a store holds what was written, and what to do where it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
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
    """Read every artifact, recipe and move of a champion; exit status 3 if one is damaged, and was not repaired."""
    from nnpipe.store.champions import Champions

    opened = existing_store(store)
    there = opened.artifacts()
    moves, recipes, damaged = Champions(opened).damaged(), _damaged_recipes(opened), _damaged(opened, there)
    for move in moves:
        print(f"damaged: {move}: not the move that was written", file=sys.stderr)
        if quarantine or repair:
            print(f"  moved to  {opened.discard_move(move)}", file=sys.stderr)
    for key, where in recipes.items():
        print(f"damaged: {where}: not the recipe that was written", file=sys.stderr)
        if quarantine or repair:
            print(f"  moved to  {opened.discard_recipe(key)}", file=sys.stderr)
    for id_, problems in damaged.items():
        for problem in problems:
            print(f"damaged: {problem}", file=sys.stderr)
        if id_ in there and (quarantine or repair):
            print(f"  moved to  {opened.quarantine(id_)}", file=sys.stderr)
    found = len(damaged) + len(recipes) + len(moves)
    left = _repaired(opened, damaged) if repair else found
    if left:
        raise CorruptionError(
            f"{found} of {len(there)} artifacts are damaged",
            where=str(store),
            found=f"{left} could not be restored" if repair else None,
            hint=None if repair else "nnpipe verify --repair computes them again",
        )
    print(f"{len(opened.artifacts())} artifacts are what was written")


def _damaged(store: Store, there: list[str]) -> dict[str, list[str]]:
    """Artifact id -> what is wrong with it, for those that are damaged, and those that a ref points at in vain."""
    damaged = {id_: problems for id_ in there if (problems := store.damage(id_))}
    for name in store.refs.names():
        if not store.has(store.refs[name]):
            damaged.setdefault(store.refs[name], []).append(f"{name}: the artifact it points at is gone")
    return damaged


def _damaged_recipes(store: Store) -> dict[str, str]:
    """Key -> where it lies, of recipes that cannot be read, or whose ingredients are not those of their key."""
    from nnpipe.pipeline.recipe import recipe_key

    damaged = {}
    for key, where, data in store.recipe_files():
        try:
            record = json.loads(data)
            sound = recipe_key(record["recipe"]) == record["key"] == key
        except (ValueError, TypeError, KeyError):
            sound = False
        if not sound:
            damaged[key] = where
    return damaged


def _repaired(store: Store, damaged: Iterable[str]) -> int:
    """Compute damaged artifacts again; how many could not be restored."""
    from nnpipe.cli.reproduce import restore

    outcome = restore(store, damaged)
    for id_, problem in outcome.items():
        print(f"restored: {id_}" if problem is None else f"not restored: {id_}: {problem}", file=sys.stderr)
    return sum(problem is not None for problem in outcome.values())
