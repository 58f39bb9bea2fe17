"""HDF5 files of weights that were made to do harm: what each is called, a maker, and a part of what it is refused with.

A maker gets the path of a right file and spoils it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5l

from .hostile_models import Case

HDF5: dict[str, Case] = {}


def h5(words: str) -> Callable[[Callable[[h5py.File], object]], object]:
    """Lists what spoils the file of weights."""

    def listed(spoil: Callable[[h5py.File], object]) -> object:
        def make(path: Path) -> None:
            with h5py.File(path, "a") as file:
                del file["layers/0/weight"]
                spoil(file)

        HDF5[spoil.__name__] = ("weights.h5", make, words)
        return spoil

    return listed


WEIGHT = "layers/0/weight"
OUTSIDE, ENDLESS, CLAIMS = "not a data set of this file", "without an end", "more than the file can hold"


@h5(OUTSIDE)
def a_link_to_another_file(file: h5py.File) -> None:
    file[WEIGHT] = h5py.ExternalLink("/etc/passwd", "/")


@h5(OUTSIDE)
def a_soft_link(file: h5py.File) -> None:
    file[WEIGHT] = h5py.SoftLink("/layers/0/bias")


@h5(OUTSIDE)
def values_in_another_file(file: h5py.File) -> None:
    file.create_dataset(WEIGHT, (6, 20), np.float32, external=[("/etc/passwd", 0, 480)])


@h5(OUTSIDE)
def a_virtual_data_set(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((6, 20), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (6, 20))
    file.create_virtual_dataset(WEIGHT, layout)


@h5(ENDLESS)
def groups_in_circles(file: h5py.File) -> None:
    file["layers/0/again"] = file["layers"]


@h5(ENDLESS)
def groups_that_double_at_every_step(file: h5py.File) -> None:
    inner = file.create_group("inner")
    for depth in range(30):
        outer = file.create_group(f"outer{depth}")
        outer["left"] = outer["right"] = inner
        inner = outer


@h5(CLAIMS)
def an_absurd_shape(file: h5py.File) -> None:
    file.create_dataset(WEIGHT, (1 << 40, 1 << 20), np.float32, chunks=(1, 1024))


@h5(CLAIMS)
def values_that_grow_without_measure(file: h5py.File) -> None:
    data = file.create_dataset(WEIGHT, (1 << 15, 1 << 15), np.float32, chunks=(256, 1 << 15), compression="gzip")
    chunk = zlib.compress(bytes(256 * 4 << 15))
    for row in range(0, 1 << 15, 256):
        data.id.write_direct_chunk((row, 0), chunk)


@h5(CLAIMS)
def one_array_by_many_names(file: h5py.File) -> None:
    file[WEIGHT] = np.zeros(1 << 20, np.float32)
    for number in range(2000):
        file[f"layers/0/{number}"] = file[WEIGHT]


@h5("not an array of numbers")
def texts_that_could_all_be_one(file: h5py.File) -> None:
    file[WEIGHT] = np.array(["a", "b"], object)


@h5("not an array of numbers")
def records(file: h5py.File) -> None:
    file[WEIGHT] = np.zeros(6, [("a", "f4"), ("b", "i8")])


@h5("one text")
def a_document_of_many_texts(file: h5py.File) -> None:
    del file.attrs["nnpipe"]
    file.attrs.create("nnpipe", np.array(["a", "b"], object), dtype=h5py.string_dtype())


def a_link_of_a_kind_of_somebodys_own(path: Path) -> None:
    """A link that HDF5 would ask a function of the user's about; h5py makes none, so the kind of another is changed."""
    with h5py.File(path) as file:
        document = file.attrs["nnpipe"]
    with h5py.File(path, "w") as file:  # anew, in the older form: it has no checksums
        file.attrs["nnpipe"] = document
        file[WEIGHT] = h5py.ExternalLink("another-file", "/another-place")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"\x40", 0, data.rindex(b"another-file"))] += 1
    path.write_bytes(data)
    with h5py.File(path) as file:
        group = file["layers/0"]
        assert group.id.links.get_info(b"weight").type > h5l.TYPE_EXTERNAL


HDF5[a_link_of_a_kind_of_somebodys_own.__name__] = ("weights.h5", a_link_of_a_kind_of_somebodys_own, OUTSIDE)
