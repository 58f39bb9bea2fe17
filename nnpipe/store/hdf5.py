"""Files of arrays in HDF5, contiguous and uncompressed, so that any row can be read without its neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from nnpipe.errors import CorruptionError
from nnpipe.store.canonical import JSON

# The usual driver, but rows are written at once and not when a data set is closed: there a full disk cannot be told as
# an error, and HDF5 2.0 crashes.
UNBUFFERED = "nnpipe-unbuffered"
h5py.register_driver(UNBUFFERED, lambda access: access.set_sieve_buf_size(0))


class Hdf5Arrays:
    """An HDF5 file whose root holds one data set an array; attributes are JSON texts of the root."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file, self._path = file, path

    @classmethod
    def open(cls, path: Path) -> Hdf5Arrays:
        try:
            return cls(h5py.File(path, "r"), path)
        except OSError as error:
            raise CorruptionError("not a readable HDF5 file", where=str(path), found=str(error)) from error

    @classmethod
    def create(cls, path: Path) -> Hdf5Arrays:
        return cls(h5py.File(path, "x", driver=UNBUFFERED), path)

    def names(self) -> list[str]:
        return sorted(self._file)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._dataset(name).shape)

    def dtype(self, name: str) -> np.dtype:
        found: np.dtype = self._dataset(name).dtype
        return found

    def attributes(self) -> dict[str, JSON]:
        return {name: json.loads(text) for name, text in self._file.attrs.items()}

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._dataset(name)[start:stop])

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._file.create_dataset(name, shape=shape, dtype=dtype)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        self._dataset(name)[start : start + len(values)] = values

    def set_attributes(self, attributes: Mapping[str, JSON]) -> None:
        for name, value in attributes.items():
            self._file.attrs[name] = json.dumps(value, sort_keys=True)

    def close(self) -> None:
        self._file.close()

    def _dataset(self, name: str) -> h5py.Dataset:
        found = _own_member(self._file, name, self._path)
        if not isinstance(found, h5py.Dataset):
            raise CorruptionError("not a data set of this file", where=f"{self._path}:{name}")
        return found


@dataclass(frozen=True)
class Group:
    """A group of an HDF5 tree to write: its attributes, data sets and groups, in order."""

    attributes: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)


def write_tree(path: Path, root: Group) -> None:
    """Write a whole HDF5 file of nested groups at ``path``, as other programs want it."""
    with h5py.File(path, "x", track_order=True) as file:
        _write_group(file, root)


def _write_group(target: h5py.Group, group: Group) -> None:
    for name, value in group.attributes.items():
        target.attrs[name] = value
    for name, array in group.arrays.items():
        target.create_dataset(name, data=array)
    for name, child in group.groups.items():
        _write_group(target.create_group(name, track_order=True), child)


def read_tree(path: Path) -> Group:
    """The whole HDF5 file of nested groups at ``path``.

    Raises:
        CorruptionError: it cannot be read, or leads out of the file.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise CorruptionError("not a readable HDF5 file", where=str(path), found=str(error)) from error
    with file:
        return _read_group(file, path)


def _read_group(source: h5py.Group, path: Path) -> Group:
    members = {name: _own_member(source, name, path) for name in source}
    return Group(
        dict(source.attrs),
        {name: np.asarray(member[()]) for name, member in members.items() if isinstance(member, h5py.Dataset)},
        {name: _read_group(member, path) for name, member in members.items() if isinstance(member, h5py.Group)},
    )


def _own_member(group: h5py.Group, name: str, path: Path) -> object:
    """A member of a group; what leads out of the file, and could read what it should not, is refused."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise CorruptionError("not a data set of this file", where=f"{path}:{name}")
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise CorruptionError("not a data set of this file", where=f"{path}:{name}")
    return found
