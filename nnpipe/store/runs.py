"""Runs: the record of each execution, one JSON file each, oldest first by name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import read_json, write_file


class Runs:
    """The run records of a store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def name(self, spec: str) -> str:
        """A new name for a run of ``spec``: the second it started, of what, microseconds, two letters against chance.

        So names of runs of one spec are in the order of their beginnings.
        """
        now = datetime.now(UTC)
        return f"{now:%Y%m%d-%H%M%S}-{spec}-{now:%f}{secrets.token_hex(1)}"

    def put(self, run: JSON) -> None:
        """Keep a run under its name."""
        write_file(self.path(run["run"]), canonical_json(run) + b"\n")

    def remove(self, name: str) -> None:
        """Forget a run; what it made is left to ``gc``."""
        self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Where the run called ``name`` is kept."""
        return self.root / f"{name}.json"

    def get(self, name: str) -> JSON | None:
        """The run called ``name``, or None."""
        path = self.path(name)
        return read_json(path) if "/" not in name and path.is_file() else None

    def newest_first(self) -> Iterator[JSON]:
        """Every run, the last one first."""
        for path in sorted(self.root.glob("*.json"), reverse=True):
            with suppress(FileNotFoundError):  # removed while we looked
                yield read_json(path)
