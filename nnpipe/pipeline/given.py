"""What a spec may be given as, a file, a mapping or a ``Spec``; and overrides, a mapping or the words of ``--set``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnpipe.errors import UsageError
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document

SpecLike = str | os.PathLike[str] | Mapping[str, Any] | Spec
Overrides = Mapping[str, Any] | Iterable[str]


def spec_of(
    spec: SpecLike,
    set: Overrides,  # noqa: A002
    root: str | os.PathLike[str] | None,
) -> tuple[Spec, Path]:
    """The spec, checked, and the folder that relative paths in it start from: see ``nnpipe.read_spec``.

    Raises:
        SpecError: one problem for each mistake.
        UsageError: an override cannot be applied.
    """
    overrides = assignments(set)
    if isinstance(spec, Spec) and not overrides:
        return spec, Path(root or ".").resolve()
    document, folder = document_of(spec, root)
    return check_spec(document, overrides, folder), folder


def document_of(spec: SpecLike, root: str | os.PathLike[str] | None = None) -> tuple[Document, Path]:
    """What a spec says, unchecked, and the folder that relative paths in it start from."""
    folder = Path(root or ".").resolve()
    if isinstance(spec, Spec):
        return Document("spec", spec.model_dump(mode="json")), folder
    if isinstance(spec, Mapping):
        return Document("spec", _plain(spec)), folder
    return Document.read(Path(spec)), folder if root else Path(spec).resolve().parent


def assignments(set: Overrides) -> tuple[str, ...]:  # noqa: A002
    """Overrides in the form of ``--set``: KEY=VALUE."""
    if isinstance(set, str):
        return (set,)
    if isinstance(set, Mapping):
        # JSON is YAML: the text reads back as the same value, "3" as text and 3 as a number.
        return tuple(f"{key}={json.dumps(_plain(value))}" for key, value in set.items())
    return tuple(set)


def _plain(value: Any) -> Any:
    """A copy of ``value`` in lists, mappings, text and numbers."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        expected = "text, numbers, true, false, lists and mappings"
        raise UsageError("not what a spec is made of", expected=expected, found=str(error)) from None
