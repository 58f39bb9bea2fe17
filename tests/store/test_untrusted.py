"""Files that somebody made to mislead: each is refused by name, nothing outside is read, and nothing is executed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from nnpipe.datasets.sources.arrays import Arrays
from nnpipe.errors import CorruptionError, DataError
from nnpipe.store.arrays import open_arrays
from nnpipe.store.canonical import digest
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.store import Store

X, Y = np.ones((6, 2)), np.arange(6) % 2


def put_secret(folder: Path) -> None:
    """What must not be read, in the format of each."""
    with h5py.File(folder / "secret.h5", "w") as file:
        file["deep/X"] = X
    X.tofile(folder / "secret.bin")
    zarr.open_group(folder / "secret.zarr", mode="w").create_array("X", data=X)


def soft_link(file: h5py.File) -> None:
    file["real"] = X
    file["X"] = h5py.SoftLink("/real")


def external_link(file: h5py.File) -> None:
    file["X"] = h5py.ExternalLink("secret.h5", "/deep/X")


def virtual_data_set(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(X.shape, dtype="f8")
    layout[:] = h5py.VirtualSource("secret.h5", "deep/X", X.shape)
    file.create_virtual_dataset("X", layout)


def external_data_set(file: h5py.File) -> None:
    file.create_dataset("X", X.shape, "f8", external=[("secret.bin", 0, X.nbytes)])


TRAPS = [soft_link, external_link, virtual_data_set, external_data_set]


@pytest.mark.parametrize("trap", TRAPS)
def test_hdf5_that_points_elsewhere_is_refused_in_an_artifact(
    tmp_path: Path, trap: Callable[[h5py.File], None]
) -> None:
    put_secret(tmp_path)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        trap(file)
    opened = open_arrays(tmp_path / "data.h5")
    with pytest.raises(CorruptionError, match=r"data\.h5:X: not a data set of this file"):
        opened.rows("X", 0, 6)
    opened.close()


@pytest.mark.parametrize("trap", TRAPS)
def test_hdf5_that_points_elsewhere_is_refused_as_data(tmp_path: Path, trap: Callable[[h5py.File], None]) -> None:
    put_secret(tmp_path)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        trap(file)
        file["y"] = Y
    with pytest.raises(DataError, match=r"data\.h5:X: 'X' is not an array that lies in this file"):
        source("data.h5").open(tmp_path, 0)


@pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/deep"), h5py.SoftLink("/real")])
def test_a_group_that_lies_elsewhere_is_refused_as_data(tmp_path: Path, link: object) -> None:
    put_secret(tmp_path)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["real/X"], file["group"], file["y"] = X, link, Y
    with pytest.raises(DataError, match="there is no array 'group/X'"):
        source("data.h5", images="group/X").open(tmp_path, 0)
    assert source("data.h5", images="real/X").open(tmp_path, 0).shape == (2,)


def put_zarr(path: Path) -> None:
    group = zarr.open_group(path, mode="w")
    group.create_array("X", data=X)
    group.create_array("y", data=Y)


@pytest.mark.parametrize("name", ["X", "X/zarr.json", "X/c/0/0"])
def test_a_symbolic_link_in_a_zarr_directory_is_refused(tmp_path: Path, name: str) -> None:
    put_secret(tmp_path)
    put_zarr(tmp_path / "data.zarr")
    path = tmp_path / "data.zarr" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(tmp_path / "secret.zarr" / name)
    with pytest.raises(CorruptionError, match="a symbolic link in a zarr group"):
        open_arrays(tmp_path / "data.zarr")
    with pytest.raises(DataError, match="the file cannot be read"):
        source("data.zarr").open(tmp_path, 0)


def test_a_zarr_directory_may_itself_be_linked_to(tmp_path: Path) -> None:
    put_zarr(tmp_path / "far.zarr")
    (tmp_path / "data.zarr").symlink_to(tmp_path / "far.zarr")
    assert source("data.zarr").open(tmp_path, 0).shape == (2,)


def test_a_name_does_not_lead_out_of_a_zarr_directory(tmp_path: Path) -> None:
    put_secret(tmp_path)
    put_zarr(tmp_path / "data.zarr")
    with pytest.raises(DataError, match="there is no array"):
        source("data.zarr", images="../secret.zarr/X").open(tmp_path, 0)


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_objects_in_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    objects = np.empty(6, object)
    objects[:] = [Trap(tmp_path / "executed")] * 6
    np.savez(tmp_path / "data.npz", X=X, y=objects)
    with pytest.raises(DataError, match=r"data\.npz:y: not an array of numbers"):
        source("data.npz").open(tmp_path, 0)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_the_pickle_codec_of_old_zarr_files_is_not_run(tmp_path: Path, place: str) -> None:
    group = zarr.open_group(tmp_path / "data.zarr", mode="w", zarr_format=2)
    group.create_array("X", data=X, chunks=X.shape, compressors=None)
    group.create_array("y", data=Y, compressors=None)
    codec = {"id": "pickle", "protocol": 4}
    about = tmp_path / "data.zarr" / "X" / ".zarray"
    about.write_text(json.dumps({**json.loads(about.read_text()), place: [codec] if place == "filters" else codec}))
    (tmp_path / "data.zarr" / "X" / "0.0").write_bytes(pickle.dumps(Trap(tmp_path / "executed")))
    with pytest.raises(DataError, match=r"data\.zarr"):
        list(source("data.zarr").open(tmp_path, 0).blocks("train"))
    with pytest.raises(CorruptionError, match=r"data\.zarr:X"):
        open_arrays(tmp_path / "data.zarr").rows("X", 0, 6)
    assert not (tmp_path / "executed").exists()


HEADERS = [
    b"",
    b"\xff" * 8,  # longer than any file
    (100).to_bytes(8, "little") + b"{",  # longer than this one
    (2).to_bytes(8, "little") + b"{}",  # without the document
    (9).to_bytes(8, "little") + b'{"a":1e9}',
    (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[99999999],"data_offsets":[0,9]}}   ',
]


@pytest.mark.parametrize("data", HEADERS)
def test_a_checkpoint_with_an_absurd_header_is_passed_over_though_its_digest_is_right(
    tmp_path: Path, data: bytes
) -> None:
    checkpoints = DiskCheckpoints(tmp_path, 30)
    checkpoints.save({"weight": np.ones(3, np.float32)}, {"epoch": 1})
    (tmp_path / f"checkpoint-00000002-{hashlib.sha256(data).hexdigest()}.safetensors").write_bytes(data)
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded[1] == {"epoch": 1}


@pytest.mark.parametrize("data", [data for data in HEADERS if data[8:] != b"{}"])
def test_a_safetensors_file_with_an_absurd_header_is_refused_though_the_manifest_tells_of_it(
    tmp_path: Path, data: bytes
) -> None:
    store = Store(tmp_path / "artifacts")
    store.prepare()
    recipe = {"stage": "finetune", "inputs": {}, "seed": 0}
    key = digest("nnpipe/recipe/1", recipe)
    with store.output(key) as output:
        output.file("model.safetensors", data)
        record = store.commit(output, key, "finetune", recipe, {})
    with pytest.raises(CorruptionError, match=r"model\.safetensors: not a readable safetensors file"):
        store.artifact(record.artifact).tensors("model")


def test_a_linked_folder_in_an_artifact_is_refused_though_its_bytes_are_right(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    store.prepare()
    with store.output("ab" * 32) as output:
        with output.arrays("data", "zarr") as writer:
            writer.allocate("X", X.shape, "f8")
            writer.append("X", X)
        record = store.commit(output, "ab" * 32, "ingest", {}, {})
    inside = store.directory(record.artifact) / "data.zarr" / "X"
    inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptionError, match="a symbolic link in an artifact"):
        store.artifact(record.artifact).arrays("data")


def source(path: str, **options: str) -> Arrays:
    return Arrays.model_validate({"path": path, "images": "X", "labels": "y", **options})
