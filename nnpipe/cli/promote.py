"""``nnpipe promote``, ``rollback`` and ``champions``: which network of a name is in use, and how it came to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Ref, StorePlace
from nnpipe.cli.store import existing_store
from nnpipe.errors import UsageError

if TYPE_CHECKING:
    from nnpipe.store.store import Store

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the move.", show_default=False)]
Champion = Annotated[str, typer.Argument(metavar="NAME", help="A spec's name, or NAME/champion.", show_default=False)]


def promote(
    name: Ref,
    to: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose champion; by default the spec's that made it.", show_default=False),
    ] = None,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Ask no gate.")] = False,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Make a network the champion, if the gate of the spec that its run recorded lets it; exit status 1 if not."""
    from nnpipe.pipeline import promotion

    opened = existing_store(store)
    target = _name(to) if to else None
    if force:
        done = promotion.force(opened, name, target, reason)
    else:
        candidate = promotion.candidate_of(opened, name)
        done = promotion.promote(opened, target or candidate.name, candidate, reason=reason)
    answer = done.to_json()
    print(json.dumps(answer) if as_json else "\n".join(promotion_told(answer)))
    if not done.promoted and done.verdict:
        raise typer.Exit(1)


def rollback(
    name: Champion,
    reason: Reason = "",
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Go back to the champion before."""
    from nnpipe.pipeline import promotion

    answer = promotion.rollback(existing_store(store), _name(name), reason).to_json()
    print(json.dumps(answer) if as_json else "\n".join(promotion_told(answer, "back")))


def champions(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Every move of this one.", show_default=False)
    ] = None,
    store: StorePlace = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """List the champions, or every move of one: when, from what to what, by which run, and why."""
    opened = existing_store(store)
    if name is None:
        listed = list(_listed(opened))
        print(json.dumps(listed) if as_json else "\n".join(_listed_told(listed)))
        return
    moves = history(opened, _name(name))
    if not moves:
        from nnpipe.errors import nearest
        from nnpipe.store.champions import Champions

        raise UsageError(f"no champion {_name(name)!r}", hint=nearest(_name(name), Champions(opened).names()))
    print(json.dumps(moves) if as_json else "\n".join(moves_told(moves)))


def history(store: Store, name: str) -> list[dict[str, Any]]:
    """Every move of a champion as JSON, the oldest first."""
    from nnpipe.store.champions import Champions

    return [move.to_json() for move in Champions(store).history(name)]


def promotion_told(promotion: dict[str, Any], how: str = "promoted") -> list[str]:
    """What came of a wish to move a champion: a run's field ``promotion``, in lines."""
    from nnpipe.cli.text import SHORT

    ref, champion, before = promotion["ref"], promotion["champion"], promotion["from"]
    if promotion["promoted"]:
        lines = [f"{how:<9}  {ref} is {champion[:SHORT]}" + (f", was {before[:SHORT]}" if before else "")]
    else:
        lines = [f"promotion  {ref} stays " + (f"at {champion[:SHORT]}" if champion else "without a network")]
    criteria = [each["reason"] for each in promotion["criteria"]]
    lines += [f"  {reason}" for reason in promotion["reasons"] if reason not in criteria]
    return lines + verdict_told(promotion)


def verdict_told(verdict: dict[str, Any]) -> list[str]:
    """Every criterion of a gate, and drift of the data, in lines."""
    lines = [f"  {'yes' if each['passed'] else 'no':<3}  {each['reason']}" for each in verdict["criteria"]]
    return [*lines, f"  drift: {verdict['drift']['sentence']}"] if verdict["drift"] else lines


def moves_told(moves: list[dict[str, Any]]) -> list[str]:
    """A history as a table, the oldest move first."""
    from nnpipe.cli.text import SHORT, table, when

    rows = [
        (
            when(move["at"]),
            move["kind"],
            (move["from"] or "-")[:SHORT],
            move["to"][:SHORT],
            move["run"] or "-",
            move["reason"],
        )
        for move in moves
    ]
    return table(("when", "how", "from", "to", "run", "reason"), rows, "<<<<<<")


def _listed(store: Store) -> Iterator[dict[str, Any]]:
    from nnpipe.store.champions import Champions

    for name in Champions(store).names():
        current, moves = Champions(store).current(name), history(store, name)
        last = moves[-1] if moves else None
        yield {"name": name, "champion": current, "moves": len(moves), "last": last}


def _listed_told(listed: list[dict[str, Any]]) -> list[str]:
    from nnpipe.cli.text import SHORT, table, when

    if not listed:
        return ["no champions yet: a spec with promote: true makes them, or nnpipe promote"]
    rows = [
        (
            each["name"],
            (each["champion"] or "-")[:SHORT],
            when(each["last"]["at"]) if each["last"] else "-",
            str(each["moves"]),
            each["last"]["reason"] if each["last"] else "-",
        )
        for each in listed
    ]
    return table(("name", "champion", "since", "moves", "reason"), rows, "<<<><")


def _name(name: str) -> str:
    """``NAME`` of ``NAME`` or ``NAME/champion``."""
    from nnpipe.store.champions import LABEL

    bare = name.removesuffix(f"/{LABEL}")
    if "/" in bare or not bare:
        raise UsageError(f"{name!r} is not the name of a champion", expected=f"NAME or NAME/{LABEL}", found=name)
    return bare
