"""Recipes: what determines a stage's result, and the key that is its digest. Argued in docs/keys.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nnpipe.datasets.sources.source import Source
from nnpipe.pipeline.fingerprint import fingerprint
from nnpipe.pipeline.graph import Stage
from nnpipe.spec import identity
from nnpipe.stages.import_network import NetworkFile
from nnpipe.store.canonical import JSON, digest
from nnpipe.store.memo import Memo


def recipe(stage: Stage, inputs: Mapping[str, str], memo: Memo) -> dict[str, JSON]:
    """The ingredients of a stage: ``inputs`` are content digests, by the stage's words for them."""
    return {
        "stage": stage.name,
        "code": fingerprint(stage, memo),
        "config": identity(stage.config),
        "inputs": dict(inputs),
        "seed": stage.seed,
    }


def recipe_key(ingredients: Mapping[str, JSON]) -> str:
    """SHA-256 of the ingredients."""
    return digest("nnpipe/recipe/1", dict(ingredients))


def source_digest(source: Source | NetworkFile, root: Path, memo: Memo) -> str | None:
    """Digest of the files that hold the data, in order and with their names; None: not there yet.

    The order tells their roles (training images, their labels, ...), folders tell classes.
    """
    files = source.files(root)
    if files is None:
        return None
    above = os.path.commonpath([path.parent for path in files]) if files else ""
    content = [[os.path.relpath(path, above), memo.file_digest(path)] for path in files]
    return digest("nnpipe/source/1", content)
