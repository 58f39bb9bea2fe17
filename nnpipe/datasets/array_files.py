"""Named arrays in files of users, .npz, .h5 or .zarr, read in order of rows; whatever is wrong names the file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np

from nnpipe.errors import DataError, nearest
from nnpipe.store.arrays import ArrayFile, open_arrays

Header = tuple[tuple[int, ...], bool, np.dtype]  # shape, whether in Fortran's order, dtype


class NamedArrays(Protocol):
    """An open file of named arrays."""

    def names(self) -> list[str]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> np.dtype: ...

    def blocks(self, name: str, rows: int, first: int = 0) -> Iterator[np.ndarray]:
        """The rows of an array in order from row ``first`` on, ``rows`` at a time."""


@contextmanager
def open_file(path: Path) -> Iterator[NamedArrays]:
    """Open ``path``; close it afterwards.

    Raises:
        DataError: it is none of the three, or damaged.
    """
    if path.suffix == ".npz":
        with _explained(path):
            archive = zipfile.ZipFile(path)
        with archive:
            yield NpzArrays(archive, path)
    else:
        with _explained(path):
            file = open_arrays(path)
        try:
            yield StoredArrays(file, path)
        finally:
            file.close()


class StoredArrays:
    """Arrays in HDF5 or zarr."""

    def __init__(self, file: ArrayFile, path: Path) -> None:
        self._file, self._path = file, path

    def names(self) -> list[str]:
        with _explained(self._path):
            return self._file.names()

    def shape(self, name: str) -> tuple[int, ...]:
        try:
            return self._file.shape(name)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise absent(name, self.names(), self._path) from error

    def dtype(self, name: str) -> np.dtype:
        with _explained(self._path, name):
            return self._file.dtype(name)

    def blocks(self, name: str, rows: int, first: int = 0) -> Iterator[np.ndarray]:
        for start in range(first, self.shape(name)[0], rows):
            with _explained(self._path, name):
                block = self._file.rows(name, start, min(start + rows, self.shape(name)[0]))
            yield block


class NpzArrays:
    """Arrays in an archive of numpy's, each streamed as its header says; nothing is unpickled.

    An array in Fortran's order of more than one dimension has its rows scattered all over: it is read whole.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._path = archive, path

    def names(self) -> list[str]:
        return [name.removesuffix(".npy") for name in self._archive.namelist()]

    def shape(self, name: str) -> tuple[int, ...]:
        with self._member(name) as file:
            return self._header(file, name)[0]

    def dtype(self, name: str) -> np.dtype:
        with self._member(name) as file:
            return self._header(file, name)[2]

    def blocks(self, name: str, rows: int, first: int = 0) -> Iterator[np.ndarray]:
        with self._member(name) as file:
            shape, scattered, dtype = self._header(file, name)
            if scattered and len(shape) > 1:
                whole = np.frombuffer(file.read(), dtype).reshape(shape, order="F")
                yield from (whole[start : start + rows] for start in range(first, shape[0], rows))
                return
            row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
            for start in range(0, first, rows):
                file.read(min(rows, first - start) * row_bytes)  # and not seek, which may spare the archive's checksum
            for start in range(first, shape[0], rows):
                wanted = min(rows, shape[0] - start)
                data = file.read(wanted * row_bytes)
                if len(data) < wanted * row_bytes:
                    raise _cut_short(f"{self._path}:{name}", f"{shape[0]} rows", f"{start + len(data) // row_bytes}")
                yield np.frombuffer(data, dtype).reshape(wanted, *shape[1:])

    @contextmanager
    def _member(self, name: str) -> Iterator[BinaryIO]:
        if name not in self.names():
            raise absent(name, self.names(), self._path)
        with _explained(self._path, name), self._archive.open(f"{name}.npy") as file:
            yield cast(BinaryIO, file)

    def _header(self, file: BinaryIO, name: str) -> Header:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, scattered, dtype = read(file)
        size, there = dtype.itemsize * int(np.prod(shape, dtype=np.int64)), self._archive.getinfo(f"{name}.npy")
        if not dtype.hasobject and there.file_size - file.tell() != size:
            found = f"{there.file_size - file.tell()} bytes"
            raise _cut_short(f"{self._path}:{name}", f"{size} bytes of values, as its header says", found)
        return shape, scattered, dtype


def absent(name: str, names: list[str], path: Path) -> DataError:
    """The error that array ``name`` is not among the arrays of ``path``."""
    if name in names:
        return DataError(f"{name!r} is not an array that lies in this file", where=f"{path}:{name}")
    return DataError(
        f"there is no array {name!r}",
        where=str(path),
        expected="an array of this file",
        found=name,
        hint=nearest(name, names) or "the file holds no arrays",
    )


def _cut_short(where: str, expected: str, found: str) -> DataError:
    return DataError("an array is not as long as it should be", where=where, expected=expected, found=found)


@contextmanager
def _explained(path: Path, name: str | None = None) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # h5py, zarr, zipfile and numpy raise many a kind on files that are damaged
        raise DataError(
            "the array cannot be read" if name else "the file cannot be read",
            where=f"{path}:{name}" if name else str(path),
            expected="an archive of numpy's (.npz), an HDF5 file or a zarr group",
            found=str(getattr(error, "found", None) or error),
        ) from error
