"""Where data lies: paths of a spec, and the folder of the well-known data sets."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from nnpipe.errors import DataError


def data_directory() -> Path:
    """The folder of the well-known data sets: ``NNPIPE_DATA``, or else the user's cache directory."""
    told = os.environ.get("NNPIPE_DATA")
    if told:
        return Path(told).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("nnpipe")


def existing(root: Path, path: str, expected: str) -> Path:
    """The file or folder that a spec calls ``path``, relative to ``root``.

    Raises:
        DataError: nothing is there; says what was ``expected`` and which name comes nearest.
    """
    whole = root / Path(path).expanduser()
    if whole.exists():
        return whole
    raise DataError(
        f"there is no {path}", where=str(whole), expected=expected, found="nothing there", hint=_nearest_name(whole)
    )


def _nearest_name(missing: Path) -> str | None:
    while not missing.parent.is_dir():
        missing = missing.parent
    folder = missing.parent
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    close = get_close_matches(missing.name, names, n=1, cutoff=0.55)
    if close:
        return f"did you mean {str(folder / close[0])!r}?"
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"{folder} holds {shown or 'nothing'}"
