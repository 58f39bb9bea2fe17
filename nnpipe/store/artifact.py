"""Reading an artifact: its manifest at once, its payload only after its digests were checked."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nnpipe.errors import CorruptionError
from nnpipe.store.canonical import JSON

if TYPE_CHECKING:  # a plan reads manifests only, and does without NumPy
    import numpy as np

    from nnpipe.store.arrays import ArrayFile

MANIFEST = "manifest.json"
SHORT = 12  # characters of a digest that a notebook shows


@dataclass(frozen=True)
class Manifest:
    """What an artifact is made of.

    stage: the name of the stage that made it.
    content: digest of the logical content.
    parts: logical name -> digest.
    files: path inside the artifact -> [size in bytes, SHA-256].
    summary: small facts of the stage.
    """

    stage: str
    content: str
    parts: dict[str, str]
    files: dict[str, tuple[int, str]]
    summary: dict[str, JSON] = field(default_factory=dict)

    def to_json(self) -> JSON:
        return {
            "format": "nnpipe-artifact/1",
            "stage": self.stage,
            "content": self.content,
            "parts": self.parts,
            "files": {name: {"size": size, "sha256": digest} for name, (size, digest) in self.files.items()},
            "summary": self.summary,
        }

    @classmethod
    def from_json(cls, value: JSON) -> Manifest:
        """Read a manifest; a path that leaves the artifact is refused."""
        for name in value["files"]:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"the path {name!r} leaves the artifact")
        files = {name: (int(f["size"]), str(f["sha256"])) for name, f in value["files"].items()}
        return cls(value["stage"], value["content"], value["parts"], files, value["summary"])


class Artifact:
    """An immutable directory of the store, opened for reading.

    made: how it came about (when, how long, on what machine): from the recipe record, not part of the artifact.
    """

    def __init__(self, id: str, directory: Path, manifest: Manifest, made: JSON = None) -> None:  # noqa: A002
        self.id, self.directory, self.manifest = id, directory, manifest
        self.made: dict[str, JSON] = made or {}
        self._verified: set[str] = set()

    @property
    def summary(self) -> dict[str, JSON]:
        """Small facts of the stage, from the manifest."""
        return self.manifest.summary

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return sum(size for size, _ in self.manifest.files.values())

    def _repr_html_(self) -> str:
        from nnpipe.card import MOST, Table, card

        files = [(name, size, digest[:SHORT]) for name, (size, digest) in self.manifest.files.items()]
        if len(files) > MOST:  # an array may be in hundreds
            files = [*files[:MOST], (f"… {len(files) - MOST} more", sum(size for _, size, _ in files[MOST:]), "")]
        return card(
            self.manifest.stage,
            f"artifact {self.id[:SHORT]}",
            facts={"content": self.manifest.content[:SHORT], "lies in": str(self.directory), **self.summary},
            tables=[Table(("file", "bytes", "sha256"), files)],
        )

    def arrays(self, name: str) -> ArrayFile:
        """Open the arrays ``name``, whatever their format."""
        from nnpipe.store.arrays import open_arrays

        for suffix in (".h5", ".zarr"):
            if any(file.split("/")[0] == name + suffix for file in self.manifest.files):
                return open_arrays(self.path(name + suffix))
        raise CorruptionError(f"artifact has no arrays {name!r}", where=str(self.directory))

    def tensors(self, name: str) -> tuple[dict[str, np.ndarray], JSON]:
        """The arrays of ``name.safetensors`` and what its header says about them."""
        from safetensors import SafetensorError, safe_open

        path = self.path(f"{name}.safetensors")
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {}).get("nnpipe", "null"))
                return {key: file.get_tensor(key) for key in file.keys()}, about  # noqa: SIM118 - not a mapping
        except (SafetensorError, ValueError) as error:
            raise CorruptionError("not a readable safetensors file", where=str(path), found=str(error)) from error

    def json(self, name: str) -> JSON:
        """The value of ``name.json``."""
        return json.loads(self.path(f"{name}.json").read_bytes())

    def path(self, name: str) -> Path:
        """Where the file or directory ``name`` lies, its bytes checked against the manifest."""
        files = [file for file in self.manifest.files if file == name or file.startswith(name + "/")]
        if not files:
            raise CorruptionError(f"artifact has no file {name!r}", where=str(self.directory))
        for file in files:
            self.verify(file)
        return self.directory / name

    def marks(self) -> dict[str, list[int]]:
        """What tells, without reading it, that a file was changed: its size, times and inode.

        Raises:
            CorruptionError: a file is missing, or of another size.
        """
        found = {}
        for name, (size, _) in self.manifest.files.items():
            path = self.directory / name
            try:
                status = path.lstat()
            except OSError as error:
                raise CorruptionError("file of an artifact is missing", where=str(path)) from error
            if status.st_size != size:
                expected, there = f"{size} bytes", f"{status.st_size} bytes"
                raise CorruptionError("file of an artifact is damaged", where=str(path), expected=expected, found=there)
            found[name] = [size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        return found

    def verify(self, name: str) -> None:
        """Compare one file with the manifest.

        Raises:
            CorruptionError: it is missing, of another size, or holds other bytes.
        """
        if name in self._verified:
            return
        path, (size, expected) = self.directory / name, self.manifest.files[name]
        try:
            above = itertools.takewhile(lambda folder: folder != self.directory, path.parents)
            for place in (path, *above):
                if place.is_symlink():
                    raise CorruptionError("a symbolic link in an artifact", where=str(place))
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            if isinstance(error, CorruptionError):
                raise
            raise CorruptionError("file of an artifact cannot be read", where=str(path), found=str(error)) from error
        if found != expected:
            raise CorruptionError(
                "file of an artifact is damaged",
                where=str(path),
                expected=f"{size} bytes with SHA-256 {expected[:12]}",
                found=f"{path.stat().st_size} bytes with SHA-256 {found[:12]}",
            )
        self._verified.add(name)
