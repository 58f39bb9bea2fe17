"""Whole HDF5 files of nested groups, as other programs write and want them; what is read may be anybody's."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from h5py import h5o

from nnpipe.errors import CorruptionError, DataError
from nnpipe.store.hdf5 import own_member
from nnpipe.store.variable_text import read_variable_text

DEEPEST = 32  # groups within groups, in files of others


@dataclass(frozen=True)
class Group:
    """A group of an HDF5 tree: its attributes, data sets and groups, in order."""

    attributes: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)


def write_tree(path: Path, root: Group) -> None:
    """Write a whole HDF5 file of nested groups at ``path``, as other programs want it."""
    with h5py.File(path, "x", track_order=True) as file:
        _write_group(file, root)


def tree_bytes(root: Group) -> bytes:
    """The same as bytes, for a file inside another one."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        _write_group(file, root)
    return buffer.getvalue()


def _write_group(target: h5py.Group, group: Group) -> None:
    for name, value in group.attributes.items():
        if isinstance(value, str):
            text = value.encode()  # of a fixed length: see ``variable_text``
            target.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", max(1, len(text))))
        else:
            target.attrs[name] = value
    for name, array in group.arrays.items():
        target.create_dataset(name, data=array)
    for name, child in group.groups.items():
        _write_group(target.create_group(name, track_order=True), child)


def read_tree(path: Path, data: bytes | None = None) -> Group:
    """The groups and arrays of numbers in the HDF5 file at ``path``, somebody's own; their attributes are left alone.

    data: of a file inside that one, if it is that.

    Raises:
        DataError: it cannot be read, leads out of the file or to one place twice, or its arrays are not numbers that
            take their room in the file.
    """
    with _foreign(path, data) as file:
        return _Reader(path).group(file, 0)


def attribute_names(path: Path) -> frozenset[str]:
    """What the attributes of the root of the HDF5 file at ``path`` are called. Raises as ``read_tree`` does."""
    with _foreign(path) as file:
        return frozenset(file.attrs)


def read_text(path: Path, name: str) -> str | None:
    """The text that is the attribute ``name`` of the root of the HDF5 file at ``path``; None where there is none.

    Raises:
        DataError: the file cannot be read, or the attribute is no text.
    """
    with _foreign(path) as file:
        if name not in file.attrs:
            return None
        kind = file.attrs.get_id(name)
        if kind.shape == () and kind.dtype.kind == "S":
            return bytes(file.attrs[name]).decode()
        variable = kind.shape == () and h5py.check_string_dtype(kind.dtype) is not None
        if not variable:
            expected, found = "one text", f"dtype {kind.dtype}, shape {kind.shape}"
            what = "an attribute that is not read"
            raise CorruptionError(what, where=f"{path}:{name}", expected=expected, found=found)
    return read_variable_text(path, name)


@contextmanager
def _foreign(path: Path, data: bytes | None = None) -> Iterator[h5py.File]:
    try:
        with h5py.File(path if data is None else io.BytesIO(data), "r") as file:
            yield file
    except CorruptionError as error:  # of no store of ours
        raise DataError(error.what, where=error.where, expected=error.expected, found=error.found) from error
    # What h5py raises on damaged files.
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, AttributeError) as error:
        raise DataError("not a readable HDF5 file", where=str(path), found=str(error)) from error


class _Reader:
    """Reads a tree once: no place twice, and no more bytes than the file has."""

    def __init__(self, path: Path) -> None:
        self._path, self._room, self._seen = path, path.stat().st_size, set[object]()

    def group(self, source: h5py.Group, depth: int) -> Group:
        place = h5o.get_info(source.id).addr
        if depth > DEEPEST or place in self._seen:
            raise CorruptionError("groups within groups without an end", where=f"{self._path}:{source.name}")
        self._seen.add(place)
        members = {name: own_member(source, name, self._path) for name in source}
        arrays = {name: self._whole(each) for name, each in members.items() if isinstance(each, h5py.Dataset)}
        groups = {name: self.group(each, depth + 1) for name, each in members.items() if isinstance(each, h5py.Group)}
        return Group(arrays=arrays, groups=groups)

    def _whole(self, data: h5py.Dataset) -> np.ndarray:
        where = f"{self._path}:{data.name}"
        if data.dtype.kind not in "biuf" or data.shape is None:
            raise CorruptionError("not an array of numbers", where=where, found=f"dtype {data.dtype}")
        self._room -= data.nbytes
        if self._room < 0 or data.nbytes > data.id.get_storage_size():
            raise CorruptionError(
                "a data set that claims more than the file can hold",
                where=where,
                expected="values as they are, not compressed, each once",
                found=f"shape {data.shape}, {data.nbytes} bytes",
            )
        return np.asarray(data[()])
