"""A seam below the store: the n-th call that changes the disk fails, kills the process, or cuts the power.

Counted are writes to files (rows of HDF5 too), fsync, replace, rename, mkdir, unlink and rmdir, as Python makes them;
what the libraries for HDF5 and safetensors write in C is reached by ``limit_file_size``.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Kind = Literal["EIO", "ENOSPC", "kill", "power"]
DEAD = 137
Target = str | os.PathLike[str] | int  # what a call changes: a path, or a descriptor


class Faults:
    """Installed in a child process, for good.

    forget: a pattern of file names that a power cut takes although they were flushed, as if nobody had flushed them.
    """

    def __init__(self, home: Path, at: int, kind: Kind, forget: str | None = None) -> None:
        self.home, self.at, self.kind, self.forget = home, at, kind, forget
        self.points = 0
        self.fired, self.file = "", ""  # the call that failed, once it did, and what it would have changed
        self._flushed_files: dict[int, tuple[int, int]] = {}
        self._flushed_names: dict[int, dict[str, int]] = {}

    def install(self) -> None:
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir"):
            setattr(os, name, self._guarded(name, getattr(os, name)))
        os.fsync = self._guarded("fsync", self._note_flushed)
        os.pwrite = self._pwrite
        builtins.open = io.open = self._open  # type: ignore[assignment]

    @property
    def ignorable(self) -> bool:
        """Whether the run may go on: no result depends on scratch that stays, or on who is said to hold a lock."""
        return self.fired in ("unlink", "rmdir") or "locks" in self.file

    def point(self, name: str, path: Target, tear: Callable[[], object] = lambda: None) -> None:
        """One more call that changes the disk: is it the one? ``tear`` does half of it."""
        self.points += 1
        if self.points != self.at:
            return
        self.fired, self.file = name, str(path)
        tear()
        if self.kind == "power":
            self._lose_unflushed(self.home)
        if self.kind in ("kill", "power"):
            os._exit(DEAD)
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number))

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(target: Target, *arguments: Any, **options: Any) -> Any:
            if not (name == "mkdir" and os.path.isdir(target)):  # where it is there already, nothing changes
                self.point(name, target)
            return call(target, *arguments, **options)

        return guarded

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened = _open(file, mode, *arguments, **options)
        inside = not isinstance(file, int) and Path(os.fspath(file)).is_relative_to(self.home)
        return TornFile(opened, self) if inside and mode[0] in "wxa" else opened

    def _pwrite(self, descriptor: int, data: Any, place: int) -> int:
        self.point("pwrite", descriptor, lambda: _pwrite(descriptor, data[: len(data) // 2], place))
        return _pwrite(descriptor, data, place)

    # -- power cuts ------------------------------------------------------------------------------------------

    def _note_flushed(self, descriptor: int) -> None:
        """What a power cut from now on leaves of a file or a directory. (No disk is really waited for.)"""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._flushed_names[status.st_ino] = {e.name: e.inode() for e in os.scandir(descriptor)}
        elif not (self.forget and any(path.stat().st_ino == status.st_ino for path in self.home.rglob(self.forget))):
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
        self._faults.point("write", self._file.name, lambda: self._write_half(data))
        return self._file.write(data)

    def _write_half(self, data: Any) -> None:
        self._file.write(data[: len(data) // 2])
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> TornFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def limit_file_size(size: int) -> None:
    """From now on no file of this process grows beyond ``size`` bytes, whoever writes it: the kernel refuses."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


_open, _unlink, _rmdir, _pwrite = builtins.open, os.unlink, os.rmdir, os.pwrite


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        _unlink(path)
        return
    for child in list(path.iterdir()):
        _remove(child)
    _rmdir(path)
