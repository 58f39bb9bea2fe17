"""The one way to write an artifact: a stage fills an ``Output``, the store commits it.

Everything written is either logical content (arrays, tensors, JSON values: hashed by value) or an opaque file
(hashed by bytes). Times and machines have no place in it: the same computation gives the same artifact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.store.canonical import JSON, canonical_json, digest

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.store.array_writer import ArrayWriter
    from nnpipe.store.arrays import ArrayFormat


class Output:
    """The payload of an artifact being made, in a directory of its own.

    summary: a small JSON mapping of facts, kept in the manifest: what a plan or a listing shows without reading
    payload. Part of the content.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.summary: dict[str, JSON] = {}
        self.parts: dict[str, str] = {}

    @contextmanager
    def arrays(self, name: str, kind: ArrayFormat = "hdf5", scratch: Path | None = None) -> Iterator[ArrayWriter]:
        """Stream named arrays into ``name.h5`` or ``name.zarr``; content does not depend on which.

        scratch: a folder that outlives this output, for a file whose writing can be resumed.
        """
        from nnpipe.store.array_writer import ArrayWriter
        from nnpipe.store.arrays import SUFFIXES

        with ArrayWriter(self.directory / f"{name}{SUFFIXES[kind]}", kind, scratch) as writer:
            yield writer
        self.parts[name] = writer.content

    def tensors(self, name: str, tensors: Mapping[str, np.ndarray], about: JSON = None) -> None:
        """Write arrays held in memory to ``name.safetensors``; ``about`` is kept in its header."""
        import numpy as np
        from safetensors.numpy import save_file

        from nnpipe.store.arrays import content_digest

        whole = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        # One metadata entry only: the format does not order several.
        save_file(whole, self.directory / f"{name}.safetensors", metadata={"nnpipe": canonical_json(about).decode()})
        self.parts[name] = content_digest(whole, {"about": about})

    def json(self, name: str, value: JSON) -> None:
        """Write a JSON value to ``name.json``."""
        (self.directory / f"{name}.json").write_bytes(canonical_json(value) + b"\n")
        self.parts[name] = digest("nnpipe/json/1", value)

    def file(self, name: str, data: bytes, content: bytes | None = None) -> None:
        """Write an opaque file called ``name``.

        content: what of it counts, where ``data`` tells more than that (when something happened, how long it took).
        """
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.parts[name] = hashlib.sha256(data if content is None else content).hexdigest()

    def claim(self, name: str) -> None:
        """Count the file ``name``, which somebody else wrote into ``directory``, as opaque content."""
        with open(self.directory / name, "rb") as file:
            self.parts[name] = hashlib.file_digest(file, "sha256").hexdigest()

    def content(self) -> str:
        """The content digest of everything written so far."""
        return digest("nnpipe/content/1", {"parts": self.parts, "summary": self.summary})
