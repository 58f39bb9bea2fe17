"""Champions: of each name the network that is in use, and every move of it. Nothing else moves ``NAME/champion``.

A move is written before the ref follows it. Whoever dies between the two leaves a move that is carried out when
somebody next asks here: so history and ref never tell different things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnpipe.errors import CorruptionError, StoreError, UsageError
from nnpipe.store.canonical import JSON
from nnpipe.store.durable import read_json

if TYPE_CHECKING:
    from nnpipe.store.store import Store

LABEL = "champion"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Kind = Literal["promotion", "forced", "rollback"]


@dataclass(frozen=True)
class Move:
    """One move of a champion.

    kind: after its gate, without one, or back.
    at: when, ISO 8601.
    before: the artifact that it was; None: there was none.
    run: that trained the network, as far as it is known.
    verdict: what the gate said, as JSON; None where nobody asked it.
    """

    name: str
    kind: Kind
    at: str
    before: str | None
    to: str
    run: str | None
    reason: str
    verdict: JSON = None

    def to_json(self) -> JSON:
        """As it is kept; ``before`` is called ``from`` there."""
        whole = {"name": self.name, "kind": self.kind, "at": self.at, "from": self.before, "to": self.to}
        return {**whole, "run": self.run, "reason": self.reason, "verdict": self.verdict}

    @classmethod
    def read(cls, path: Path) -> Move:
        """Raises CorruptionError: it is not what was written."""
        try:
            value = dict(read_json(path))
            return cls(before=value.pop("from"), **value)
        except (TypeError, KeyError, ValueError) as error:
            raise CorruptionError("not the move of a champion", where=str(path), found=str(error)) from error


class Champions:
    """The champions of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def names(self) -> list[str]:
        """Every name that has a champion or had one, sorted."""
        refs = (name.removesuffix(f"/{LABEL}") for name in self._store.refs.names() if name.endswith(f"/{LABEL}"))
        return sorted({*refs, *self._store.moves.names()})

    def current(self, name: str) -> str | None:
        """The champion called ``name``, an artifact id; None: there is none."""
        self._carry_out(name)
        return self._ref(name)

    def history(self, name: str) -> list[Move]:
        """Every move, the oldest first."""
        self._carry_out(name)
        return list(self._moves(name))

    def damaged(self) -> list[Path]:
        """Every move that cannot be read any more."""
        return [path for name in self.names() for path in self._store.moves.paths(name) if not _readable(path)]

    def line(self, name: str) -> list[str]:
        """The champion, last, and before it those that it can go back to; a rollback takes what it left off the line.

        Writes nothing: a move that the ref did not follow yet counts as if it had.
        """
        line: list[str] = []
        for move in self._moves(name):
            if move.before is not None and line[-1:] != [move.before]:
                line.append(move.before)  # the ref was moved by hand, or two stores were merged
            if move.kind == "rollback":
                while line and line[-1] != move.to:
                    line.pop()
            if line[-1:] != [move.to]:
                line.append(move.to)
        now = None if self._waiting(name) else self._ref(name)
        return line if now is None or line[-1:] == [now] else [*line, now]

    def move(
        self,
        name: str,
        to: str,
        *,
        expected: str | None,
        kind: Kind,
        run: str | None,
        reason: str,
        verdict: JSON = None,
    ) -> bool:
        """Make the artifact ``to`` the champion, if it still is ``expected`` and not another one; whether it was.

        Raises:
            UsageError: nothing can be called so.
            StoreError: there is no such artifact any more, or the disk fails.
        """
        store = self._store
        with store.moving():  # a collection begins before this or after, and sees the champion
            self._follow(name)
            if self._ref(name) != expected:
                return False
            if not store.has(to):
                hint = "the run that made it makes it again"
                raise StoreError("the network is gone", where=str(store.directory(to)), hint=hint)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            move = Move(name, kind, at, expected, to, run, reason, verdict)
            store.moves.add(_bare(name), move.to_json())
            store.refs[_ref(name)] = to
        return True

    def _ref(self, name: str) -> str | None:
        return self._store.refs.get(_ref(name))

    def _moves(self, name: str) -> Iterator[Move]:
        return map(Move.read, self._store.moves.paths(_bare(name)))

    def _waiting(self, name: str) -> Move | None:
        """The last move, if the ref did not follow it."""
        paths = self._store.moves.paths(_bare(name))
        last = Move.read(paths[-1]) if paths else None
        return last if last and last.before == self._ref(name) != last.to else None

    def _carry_out(self, name: str) -> None:
        if self._waiting(name):
            with self._store.moving():
                self._follow(name)

    def _follow(self, name: str) -> None:
        """Let the ref follow the last move. The gate is held."""
        waiting = self._waiting(name)
        if waiting:
            self._store.refs[_ref(name)] = waiting.to


def _readable(path: Path) -> bool:
    try:
        Move.read(path)
    except CorruptionError:
        return False
    return True


def _bare(name: str) -> str:
    return _ref(name).removesuffix(f"/{LABEL}")


def _ref(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a champion", expected="a spec's name, as digits")
    return f"{name}/{LABEL}"
