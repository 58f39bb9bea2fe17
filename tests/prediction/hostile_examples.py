"""Files of examples that were made to do harm: what each is called, a maker, and a part of what it is refused with.

The network that is asked about them reads images of 1 by 4 by 5.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import zarr

from .hostile_models import TRAP, Make, Trap

EXAMPLES: dict[str, tuple[str, Make, str]] = {}


def refused(words: str, *names: str) -> Callable[[Make], Make]:
    def listed(make: Make) -> Make:
        for name in names:
            EXAMPLES[f"{make.__name__} {name}"] = (name, make, words)
        return make

    return listed


@refused(
    "", "x.npy", "x.npz", "x.h5", "x.hdf5", "x.csv", "x.tsv", "x.png", "x.jpg", "x.gif", "x.tif", "x-ubyte", "x.pkl"
)
def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap()))


@refused("", "x.npy", "x.npz")
def an_array_of_pickles(path: Path) -> None:
    objects = np.empty(6, object)
    objects[:] = [Trap()] * 6
    np.save(path, objects) if path.suffix == ".npy" else np.savez(path, X=objects)


@refused("", "x.zarr")
def a_codec_that_unpickles(path: Path) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("X", data=np.ones((2, 20)), compressors=None)
    about = path / "X" / ".zarray"
    about.write_text(json.dumps({**json.loads(about.read_text()), "filters": [{"id": "pickle"}]}))
    (path / "X" / "0.0").write_bytes(pickle.dumps(Trap()))


@refused("a symbolic link", "x.zarr")
def a_link_out_of_the_directory(path: Path) -> None:
    zarr.open_group(path, mode="w").create_array("X", data=np.ones((2, 20)))
    (path / "X" / "c" / "0" / "0").unlink()
    (path / "X" / "c" / "0" / "0").symlink_to("/etc/passwd")


@refused("cannot be read", "x.png", "x.jpg", "x.tif")
def a_program_that_draws(path: Path) -> None:
    """PostScript, which Pillow would have another program run."""
    path.write_text(f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n({TRAP}) (w) file closefile showpage\n")


@refused("too many pixels", "x.png")
def an_image_of_absurd_size(path: Path) -> None:
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0), b"IDAT" + zlib.compress(bytes(9001)))
    whole = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))


@refused("another shape", "x.npz", "x.h5")
def one_row_that_grows_without_measure(path: Path) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            data = file.create_dataset("X", (64, 1 << 22), np.float32, chunks=(1, 1 << 22), compression="gzip")
            chunk = zlib.compress(bytes(16 << 20), 1)
            for row in range(64):
                data.id.write_direct_chunk((row, 0), chunk)
    else:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("X.npy", "w") as file,
        ):
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (4, 1 << 23)})
            for _ in range(4):
                file.write(bytes(4 << 23))


@refused("more than the file can hold", "x.h5")
def rows_without_an_end(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("X", (1 << 50, 20), np.uint8, chunks=(1 << 10, 20))


@refused("", "x.npy")
def a_header_that_claims_more(path: Path) -> None:
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 20)})


@refused("", "x.npy", "x.npz")
def a_header_that_is_no_header(path: Path) -> None:
    text = b"{'descr': " + b"-" * 9000 + b"1}"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    if path.suffix == ".npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", data)


@refused("", "x.npz")
def an_archive_whose_names_lead_out(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"../{TRAP}.npy", b"outside")
        archive.writestr(f"{os.getcwd()}/{TRAP}", b"outside")


@refused("cut short", "x-ubyte", "x-ubyte.gz")
def an_idx_file_that_claims_more(path: Path) -> None:
    data = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**32 - 1, 4, 5)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@refused("another shape", "x-ubyte.gz")
def an_idx_row_that_grows_without_measure(path: Path) -> None:
    path.write_bytes(gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, 1, 1 << 13, 1 << 13) + bytes(1 << 26), 1))


@refused("", "x.h5")
def a_link_to_another_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["X"] = h5py.ExternalLink("/etc/passwd", "/")


@refused("", "x.h5")
def a_virtual_data_set(path: Path) -> None:
    layout = h5py.VirtualLayout((2, 20), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, 20))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("X", layout)


@refused("not an array of numbers", "x.h5")
def texts_that_could_all_be_one(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["X"] = np.array([["a"] * 20], object)


@refused("not a finite number", "x.csv", "x.npy")
def values_that_are_no_numbers(path: Path) -> None:
    if path.suffix == ".npy":
        np.save(path, np.full((2, 20), np.inf))
    else:
        path.write_text(",".join(["1e999"] + ["nan"] * 19) + "\n")


@refused("", "x.csv")
def a_line_without_an_end(path: Path) -> None:
    path.write_text('"' + "9" * 10**7)


@refused("", "x.csv")
def a_table_of_zeros(path: Path) -> None:
    path.write_bytes(bytes(10**6))
