"""What could not be sent to a shared store yet: a small file for each thing, until somebody sends it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nnpipe.store.durable import write_file

Kind = Literal["recipes", "runs", "refs"]


class Outbox:
    """The things in the folder ``root``; whoever sends one takes it out. The things themselves lie in the store."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, kind: Kind, name: str) -> None:
        """Note that something is to be sent; noting it twice is noting it once."""
        if not self.has(kind, name):
            write_file(self._path(kind, name), b"")

    def take(self, kind: Kind, name: str) -> None:
        """It was sent."""
        self._path(kind, name).unlink(missing_ok=True)

    def names(self, kind: Kind) -> list[str]:
        """What of a kind is to be sent, sorted."""
        root = self._root / kind
        files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(path.relative_to(root).as_posix() for path in files)

    def has(self, kind: Kind, name: str) -> bool:
        """Whether a thing is to be sent."""
        return self._path(kind, name).is_file()

    def __len__(self) -> int:
        return sum(len(self.names(kind)) for kind in ("recipes", "runs", "refs"))

    def _path(self, kind: Kind, name: str) -> Path:
        return self._root / kind / name
