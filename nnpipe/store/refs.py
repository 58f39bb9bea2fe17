"""Refs: names that point at artifacts, one small file each, as in git."""

from __future__ import annotations

import re
from pathlib import Path

from nnpipe.errors import UsageError
from nnpipe.store.durable import flush_directory, write_file

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+")


class Refs:
    """The refs of a store: ``mnist-dbn/latest`` -> artifact id."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getitem__(self, name: str) -> str:
        return self._path(name).read_text().strip()

    def __setitem__(self, name: str, artifact: str) -> None:
        write_file(self._path(name), artifact.encode() + b"\n")

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink()
        flush_directory(self._path(name).parent)

    def __contains__(self, name: str) -> bool:
        return bool(NAME.fullmatch(name)) and self._path(name).is_file()

    def get(self, name: str) -> str | None:
        """The artifact that ``name`` points at; None: there is no such ref."""
        try:
            return self[name] if NAME.fullmatch(name) else None
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Every ref, sorted."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not the name of a ref", expected="NAME/LABEL, as in mnist-dbn/latest")
        return self.root / name
