"""What is wrong with an artifact in a directory: its bytes are read, and compared with its manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nnpipe.errors import CorruptionError
from nnpipe.store.artifact import MANIFEST, Artifact, Manifest


def damage(directory: Path, id: str) -> list[str]:  # noqa: A002 - it is one
    """Files that are missing, changed, or not the artifact's own, in words; none where there is no such directory."""
    try:
        data = (directory / MANIFEST).read_bytes()
        if hashlib.sha256(data).hexdigest() != id:
            raise CorruptionError("damaged manifest", where=str(directory / MANIFEST), expected=f"SHA-256 {id}")
    except OSError as error:
        return [str(error)] if directory.exists() else []
    artifact = Artifact(id, directory, Manifest.from_json(json.loads(data)))
    problems = []
    for name in artifact.manifest.files:
        try:
            artifact.verify(name)
        except CorruptionError as error:
            problems.append(str(error))
    if not directory.exists():
        return []  # collected while we looked
    known = {*artifact.manifest.files, MANIFEST}
    there = (path for path in sorted(directory.rglob("*")) if not path.is_dir())
    strangers = (path for path in there if path.relative_to(directory).as_posix() not in known)
    return [*problems, *(f"{path}: a file that the artifact does not have" for path in strangers)]
