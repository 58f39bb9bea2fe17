"""Files of arrays in HDF5, contiguous and uncompressed, so that any row can be read without its neighbours.

HDF5 lays a file out and closes it; rows are then written in their places past the library. So nothing but rows changes
while they come in, a process that dies meanwhile leaves a file that can be gone on with, and a full disk is an ordinary
OSError (HDF5 2.0 crashes when it closes a data set whose last rows it cannot write).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5l, h5p, h5t

from nnpipe.errors import CorruptionError
from nnpipe.store.arrays import take_by_steps
from nnpipe.store.canonical import JSON
from nnpipe.store.stretch import Stretch


class Hdf5Arrays:
    """An HDF5 file whose root holds one data set an array; attributes are JSON texts of the root."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file, self._path = file, path
        self._descriptor: int | None = None  # for writing rows
        self._stretches: dict[str, Stretch | None] = {}  # where rows lie, of the arrays that were read

    @classmethod
    def open(cls, path: Path) -> Hdf5Arrays:
        return cls(_opened(path), path)

    @classmethod
    def create(cls, path: Path) -> Hdf5Arrays:
        return cls(h5py.File(path, "x"), path)

    @classmethod
    def reopen(cls, path: Path) -> Hdf5Arrays:
        return cls(_opened(path), path)

    def names(self) -> list[str]:
        return sorted(self._file)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._dataset(name).shape)

    def dtype(self, name: str) -> np.dtype:
        found: np.dtype = self._dataset(name).dtype
        return found

    def step(self, name: str) -> int:
        return 1

    def attributes(self) -> dict[str, JSON]:
        return {name: json.loads(text) for name, text in self._file.attrs.items()}

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        stretch = self._stretch(name)
        if stretch is None:
            return np.asarray(self._dataset(name)[start:stop])
        return stretch.rows(self._file.id.get_vfd_handle(), start, stop)

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        stretch = self._stretch(name)
        if stretch is None:
            return take_by_steps(self, name, rows)
        return stretch.take(self._file.id.get_vfd_handle(), rows)

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if self._file.mode == "r":
            self._file.close()
            self._file = h5py.File(self._path, "r+")
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5d.FILL_TIME_NEVER)
        self._file.create_dataset(name, shape=shape, dtype=dtype, dcpl=creation)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        if not values.size:
            return
        self._settle()
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY)
        data = values.reshape(-1).view(np.uint8).data
        place = self._dataset(name).id.get_offset() + start * (values.nbytes // len(values))
        while data:
            written = os.pwrite(self._descriptor, data, place)
            data, place = data[written:], place + written

    def layout(self) -> JSON:
        """What tells of the file without its rows: the stretches of bytes between them, and their digest."""
        self._settle()
        found = [self._dataset(name).id for name in self.names()]
        taken = sorted((d.get_offset(), d.get_offset() + d.get_storage_size()) for d in found if d.get_storage_size())
        starts, stops = [0, *(stop for _, stop in taken)], [*(start for start, _ in taken), os.path.getsize(self._path)]
        between = [[start, stop] for start, stop in zip(starts, stops, strict=True)]
        return {"between": between, "sha256": _digest_of(self._path, between)}

    def set_attributes(self, attributes: Mapping[str, JSON]) -> None:
        self._file.close()
        with h5py.File(self._path, "r+") as file:
            for name, value in attributes.items():
                file.attrs[name] = json.dumps(value, sort_keys=True)
        self._file = _opened(self._path)

    def close(self) -> None:
        self._file.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _settle(self) -> None:
        """End the making of a file: it is laid out, and from now on open for reading as far as HDF5 knows."""
        if self._file.mode == "r+":
            self._file.close()
            self._file = _opened(self._path)

    def _stretch(self, name: str) -> Stretch | None:
        if name not in self._stretches:
            self._stretches[name] = _stretch_of(self._dataset(name), self._path)
        return self._stretches[name]

    def _dataset(self, name: str) -> h5py.Dataset:
        place: object = self._file
        for part in name.strip("/").split("/"):
            if not isinstance(place, h5py.Group):
                raise CorruptionError("not a data set of this file", where=f"{self._path}:{name}")
            place = own_member(place, part, self._path)
        if not isinstance(place, h5py.Dataset):
            raise CorruptionError("not a data set of this file", where=f"{self._path}:{name}")
        return place


def _stretch_of(dataset: h5py.Dataset, path: Path) -> Stretch | None:
    """Where the rows of a data set lie, one after the other as they are in memory; None where they do not."""
    place, kind, dtype = dataset.id.get_offset(), dataset.id.get_type(), dataset.dtype
    if place is None or not dataset.shape or dtype.kind not in "biuf" or kind != h5t.py_create(dtype):
        return None
    return None if dataset.file.userblock_size else Stretch(path, place, tuple(dataset.shape), dtype)


def keeps_layout(path: Path, layout: JSON) -> bool:
    """Whether a file is still laid out as ``Hdf5Arrays.layout`` told; HDF5 does not look at it."""
    between: list[list[int]] = layout["between"]
    return path.stat().st_size == between[-1][1] and _digest_of(path, between) == layout["sha256"]


def _digest_of(path: Path, stretches: list[list[int]]) -> str:
    state = hashlib.sha256()
    with open(path, "rb") as file:
        for start, stop in stretches:
            file.seek(start)
            state.update(file.read(stop - start))
    return state.hexdigest()


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise CorruptionError("not a readable HDF5 file", where=str(path), found=str(error)) from error


def own_member(group: h5py.Group, name: str, path: Path) -> object:
    """A member of a group; what leads out of the file, and could read what it should not, is refused."""
    links, link = group.id.links, name.encode()
    if not links.exists(link) or links.get_info(link).type != h5l.TYPE_HARD:
        raise CorruptionError("not a data set of this file", where=f"{path}:{name}")
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise CorruptionError("not a data set of this file", where=f"{path}:{name}")
    return found
