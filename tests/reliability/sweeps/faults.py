"""A seam below the store: the n-th call that changes the disk fails, kills the process, or cuts the power.

Counted are writes to files, fsync, replace, rename, mkdir, unlink and rmdir, as Python makes them; what the libraries
for HDF5 and safetensors write in C is reached by ``limit_file_size``.
"""

from __future__ import annotations

import builtins
import io
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Kind = Literal["EIO", "ENOSPC", "kill", "power"]
DEAD = 137
# A failing removal of scratch files may be ignored: no result depends on it.
IGNORABLE = ("unlink", "rmdir")


class Faults:
    """Installed in a child process, for good. ``fired``: the name of the call that failed, once it did."""

    def __init__(self, home: Path, at: int, kind: Kind) -> None:
        self.home, self.at, self.kind = home, at, kind
        self.points = 0
        self.fired: str | None = None
        self._flushed_files: dict[int, tuple[int, int]] = {}
        self._flushed_names: dict[int, dict[str, int]] = {}

    def install(self) -> None:
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir"):
            setattr(os, name, self._guarded(name, getattr(os, name)))
        os.fsync = self._guarded("fsync", self._note_flushed)
        builtins.open = io.open = self._open  # type: ignore[assignment]

    def point(self, name: str) -> None:
        """One more call that changes the disk: is it the one?"""
        self.points += 1
        if self.points != self.at:
            return
        self.fired = name
        if self.kind == "power":
            self._lose_unflushed(self.home)
        if self.kind in ("kill", "power"):
            os._exit(DEAD)
        import errno

        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number))

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            self.point(name)
            return call(*arguments, **options)

        return guarded

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened = _open(file, mode, *arguments, **options)
        inside = not isinstance(file, int) and Path(os.fspath(file)).is_relative_to(self.home)
        return TornFile(opened, self) if inside and mode[0] in "wxa" else opened

    # -- power cuts ------------------------------------------------------------------------------------------

    def _note_flushed(self, descriptor: int) -> None:
        """What a power cut from now on leaves of a file or a directory. (No disk is really waited for.)"""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._flushed_names[status.st_ino] = {e.name: e.inode() for e in os.scandir(descriptor)}
        else:
            self._flushed_files[status.st_ino] = (status.st_size, status.st_mtime_ns)

    def _lose_unflushed(self, folder: Path) -> None:
        """The worst that a disk may do: names that were not flushed go, files that were not flushed become empty."""
        names = self._flushed_names.get(folder.stat().st_ino, {})
        for path in list(folder.iterdir()):
            status = path.lstat()
            if names.get(path.name) != status.st_ino:
                _remove(path)
            elif stat.S_ISDIR(status.st_mode):
                self._lose_unflushed(path)
            elif self._flushed_files.get(status.st_ino) != (status.st_size, status.st_mtime_ns):
                os.truncate(path, 0)


class TornFile:
    """A file open for writing, of which a failing write leaves half."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data: Any) -> Any:
        try:
            self._faults.point("write")
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> TornFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def limit_file_size(size: int) -> None:
    """From now on no file of this process grows beyond ``size`` bytes, whoever writes it: the kernel refuses."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


_open, _unlink, _rmdir = builtins.open, os.unlink, os.rmdir


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        _unlink(path)
        return
    for child in list(path.iterdir()):
        _remove(child)
    _rmdir(path)
