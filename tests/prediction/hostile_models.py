"""Files that claim to hold a network and were made to do harm.

``MODELS`` has of each what it is called, a maker, and a part of what it is refused with. A maker gets the path of a
right file of that name, if there is one, and spoils it. Two more modules have what a document and a graph may say.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
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
    os.truncate(path, 3 << 30)  # takes no room on the disk


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
