"""Zip archives whose bytes follow from what is inside: no times, nothing compressed, members in their order."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from nnpipe.errors import DataError


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """Write ``members``, by name, to a new file at ``path``."""
    with zipfile.ZipFile(path, "x") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(info, data)


def member_names(path: Path) -> list[str]:
    """What the members of the archive at ``path`` are called; none where it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def read_member(path: Path, name: str) -> bytes:
    """What the member called ``name`` holds. It must not be compressed, so that it is no larger than the file.

    Raises:
        DataError: the archive is damaged, or has no such member.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(name)
            if info.compress_type == zipfile.ZIP_STORED and info.file_size <= path.stat().st_size:
                return archive.read(info)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError("not a readable archive of a network", where=str(path), found=str(error)) from error
    raise DataError(
        "an archive of a network does not compress what is inside",
        where=f"{path}:{name}",
        expected=f"at most {path.stat().st_size:,} bytes, as they are",
        found=f"{info.file_size:,} bytes",
    )
