"""Files in the IDX format of MNIST, raw or gzipped, read in order and never whole.

The format (http://yann.lecun.com/exdb/mnist): two zero bytes, a byte for the type, a byte for the number of
dimensions, each dimension as a big-endian uint32, then the values, big-endian, last dimension fastest.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from nnpipe.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST_RATIO = 1032  # of deflate: no gzipped file unpacks to more than so many times its size


@dataclass(frozen=True)
class IdxFile:
    """The header of an IDX file. ``shape``: (rows, ...); ``offset``: bytes before the values."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    def blocks(self, rows: int, first: int = 0) -> Iterator[np.ndarray]:
        """All values in order from row ``first`` on, ``rows`` rows at a time.

        Raises:
            DataError: the file is cut short, too long, or its gzip data are damaged.
        """
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        with _reading(self.path) as file:
            file.seek(self.offset + first * row_bytes)
            for start in range(first, self.shape[0], rows):
                wanted = min(rows, self.shape[0] - start)
                data = file.read(wanted * row_bytes)
                if len(data) < wanted * row_bytes:
                    raise self._cut_short(f"{start + len(data) // row_bytes} whole ones")
                yield np.frombuffer(data, self.dtype).reshape(wanted, *self.shape[1:])
            if file.read(1):
                raise DataError(
                    "more bytes than its header says",
                    where=str(self.path),
                    expected=self._said(),
                    found="bytes after them",
                )

    def _said(self) -> str:
        return f"{self.shape[0]} rows of {math.prod(self.shape[1:])} values, as its header says"

    def _cut_short(self, found: str) -> DataError:
        return DataError("an IDX file is cut short", where=str(self.path), expected=self._said(), found=found)


def open_idx(path: Path, dimensions: tuple[int, ...]) -> IdxFile:
    """Read the header of an IDX file that should have one of these numbers of ``dimensions``.

    Raises:
        DataError: it is not an IDX file, or is shorter than its header says.
    """
    with _reading(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] not in dimensions:
            numbers = " or ".join(map(str, dimensions))
            raise DataError(
                "not the IDX file that belongs here: its first four bytes are wrong",
                where=str(path),
                expected=f"00 00, a type from 08 to 0e, and {numbers} dimension{'s' if dimensions != (1,) else ''}",
                found=magic.hex(" ") or "an empty file",
            )
        sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError("an IDX file is cut short", where=str(path), expected="a whole header", found="a part of it")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    header = IdxFile(path, np.dtype(TYPES[magic[2]]), shape, 4 + len(sizes))
    if 0 in shape:
        raise DataError("an IDX file without values", where=str(path), expected="at least one", found=f"shape {shape}")
    most = path.stat().st_size * (LARGEST_RATIO if _gzipped(path) else 1)
    if header.offset + header.dtype.itemsize * math.prod(shape) > most:
        raise header._cut_short(f"a file of {path.stat().st_size} bytes")
    return header


def _gzipped(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of ``path``; what goes wrong while reading is a DataError that names it."""
    try:
        with gzip.open(path, "rb") if _gzipped(path) else open(path, "rb") as file:
            yield cast(BinaryIO, file)
    except EOFError as error:
        raise DataError("a gzipped file is cut short", where=str(path), found=str(error)) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError("the gzip data are damaged", where=str(path), found=str(error)) from error
    except OSError as error:
        raise DataError("the file cannot be read", where=str(path), found=error.strerror or str(error)) from error
