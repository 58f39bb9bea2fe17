"""Files that claim to hold a network and were made to do harm.

``MODELS`` has of each what it is called, a maker, and a part of what it is refused with. A maker gets the path of a
right file of that name, if there is one, and spoils it. Two more modules have what a document and a graph may say.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5l
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

Make = Callable[[Path], object]
Case = tuple[str, Make, str]
MODELS: dict[str, Case] = {}
TRAP = "executed"  # what a trap makes in the current folder, if it is ever sprung


class Trap:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (TRAP,)


def refused(words: str, *names: str) -> Callable[[Make], Make]:
    """Lists a maker of files that are called so and refused with ``words``."""

    def listed(make: Make) -> Make:
        for name in names:
            MODELS[f"{make.__name__} {name}"] = (name, make, words)
        return make

    return listed


PICKLED = ("a.pt", "pytorch_model.bin", "model.pkl", "model.joblib", "model.npz", "model.onnx", "model.safetensors",
           "weights.h5", "model.keras", "huggingface.zip", "model.pt2")  # fmt: skip


@refused("", *PICKLED)
def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap()))


@refused("", "model.keras", "huggingface.zip", "model.pt2", "a.pt")
def an_archive_of_pickles(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "archive/data.pkl", "config.json", "metadata.json", "model.safetensors"):
            archive.writestr(name, pickle.dumps(Trap()))


@refused("does not say what network", "huggingface.zip")
def an_archive_whose_names_lead_out(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in (f"../{TRAP}", f"{path.parent}/{TRAP}", "model.safetensors"):
            archive.writestr(name, b"outside")
        link = zipfile.ZipInfo("config.json")
        link.create_system, link.external_attr = 3, 0o120777 << 16  # a symbolic link
        archive.writestr(link, "/etc/passwd")


@refused("does not compress what is inside", "huggingface.zip", "model.keras")
def an_archive_that_grows_without_measure(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("config.json", "metadata.json"):
            with archive.open(name, "w") as member:
                for _ in range(10):
                    member.write(bytes(10 << 20))


@refused("does not compress what is inside", "huggingface.zip")
def an_archive_that_claims_more(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(b"config.json"))
    data[place + 20 : place + 28] = (0xFFFFFFF0).to_bytes(4, "little") * 2
    path.write_bytes(data)


@refused("", "model.onnx", "model.safetensors", "weights.h5", "huggingface.zip", "model.keras", "model.h5")
def a_file_cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


@refused("not a readable ONNX", "model.onnx")
def an_onnx_file_larger_than_any(path: Path) -> None:
    os.truncate(path, 1 << 40)  # takes no room on the disk


@refused("not a readable ONNX", "model.onnx")
def an_onnx_file_that_claims_more(path: Path) -> None:
    path.write_bytes(b"\x3a\xff\xff\xff\xff\x07" + path.read_bytes())  # a graph of 2 GB


@refused("Lambda cannot be read", "model.keras", "model.h5")
def a_keras_model_that_runs_python(path: Path) -> None:
    layer = {
        "class_name": "Lambda",
        "module": "os",
        "registered_name": "os>system",
        "config": {"function": f"mkdir {TRAP}"},
    }
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 64]}}
    config = json.dumps({"class_name": "Sequential", "config": {"name": "network", "layers": [first, layer]}})
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            del file.attrs["model_config"], file.attrs["nnpipe"]
            file.attrs["model_config"] = config
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**members, "config.json": config, "metadata.json": "{}"}.items():
                archive.writestr(name, data)


# HDF5.
def h5(words: str) -> Callable[[Callable[[h5py.File], object]], object]:
    """Lists what spoils the file of weights."""

    def listed(spoil: Callable[[h5py.File], object]) -> object:
        def make(path: Path) -> None:
            with h5py.File(path, "a") as file:
                del file["layers/0/weight"]
                spoil(file)

        MODELS[spoil.__name__] = ("weights.h5", make, words)
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


@refused("", "weights.h5")
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


# safetensors.
def header(text: str, length: int | None = None, rest: bytes = b"") -> Make:
    data = text.encode()
    return lambda path: path.write_bytes(
        (length if length is not None else len(data)).to_bytes(8, "little") + data + rest
    )


TENSOR = '{{"a":{{"dtype":"{}","shape":{},"data_offsets":{}}}}}'
for words, make in {
    "nothing": lambda path: path.write_bytes(b""),
    "a header longer than any file": header("{}", 2**64 - 1),
    "a header longer than this one": header("{", 10**8),
    "a header that is a number": header("1e9"),
    "a shape larger than its bytes": header(TENSOR.format("F32", [10**12], [0, 8]), rest=bytes(8)),
    "a negative shape": header(TENSOR.format("F32", [-2], [0, 8]), rest=bytes(8)),
    "sizes whose product overflows": header(TENSOR.format("F32", [2**62, 4], [0, 0])),
    "offsets past the end": header(TENSOR.format("F32", [2], [0, 10**9]), rest=bytes(8)),
    "offsets the wrong way round": header(TENSOR.format("F32", [2], [8, 0]), rest=bytes(8)),
    "an unknown type": header(TENSOR.format("PICKLE", [2], [0, 8]), rest=bytes(8)),
    "a header that nests": header("[" * 10**6),
}.items():
    MODELS[f"safetensors: {words}"] = ("model.safetensors", make, "not a readable safetensors")


def document_in(path: Path) -> dict[str, str]:
    with safe_open(path, "numpy") as file:
        found: dict[str, str] = file.metadata()
    return found


@refused("does not say what network", "model.safetensors")
def weights_without_a_document(path: Path) -> None:
    save_file(load_file(path), path)


@refused("not of this model", "model.safetensors")
def weights_of_another_name(path: Path) -> None:
    save_file({**load_file(path), "evil": np.zeros((6, 20), np.float32)}, path, metadata=document_in(path))


@refused("not of this model", "model.safetensors")
def weights_of_another_shape(path: Path) -> None:
    changed = {**load_file(path), "layers.0.weight": np.zeros((7, 20), np.float32)}
    save_file(changed, path, metadata=document_in(path))


@refused("", "model.safetensors")
def weights_of_a_type_that_numpy_has_not(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"F32"', b'"I32"', 1).replace(b'"F32"', b'"BF16"'))


@refused("whose code is run", "model.safetensors")
def a_class_to_import(path: Path) -> None:
    about = json.loads(document_in(path)["nnpipe"])
    custom = {"kind": "custom", "class": "os.mkdir", "options": {"path": TRAP}, "output_shape": [20]}
    about["architecture"]["layers"].insert(0, custom)
    save_file(load_file(path), path, metadata={"nnpipe": json.dumps(about)})
