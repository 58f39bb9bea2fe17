"""The moves of champions, one small file each, the oldest first by name; nothing changes them afterwards."""

from __future__ import annotations

import secrets
from pathlib import Path

from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import write_file


class Moves:
    """The moves in a store: a folder for each name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Every name whose champion ever moved."""
        return sorted(path.name for path in self.root.glob("[!.]*"))

    def paths(self, name: str) -> list[Path]:
        """The moves of ``name``, the oldest first."""
        return sorted((self.root / name).glob("[0-9]*.json"))

    def add(self, name: str, move: JSON) -> Path:
        """Keep one more move; where. Whoever calls holds ``Store.moving``."""
        number = 1 + max((int(path.stem.partition("-")[0]) for path in self.paths(name)), default=0)
        # The letters are for two stores that are merged by copying files.
        path = self.root / name / f"{number:06}-{secrets.token_hex(2)}.json"
        write_file(path, canonical_json(move) + b"\n")
        return path
