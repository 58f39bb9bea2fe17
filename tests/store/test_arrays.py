"""One contract for both formats: every test here runs on HDF5 and on zarr."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from nnpipe.errors import CorruptionError, StoreError
from nnpipe.store.array_writer import ArrayWriter
from nnpipe.store.arrays import (
    SUFFIXES,
    ArrayFormat,
    array_digest,
    blocks,
    content_digest,
    file_digest,
    open_arrays,
)

ARRAYS = {
    "X": np.arange(600, dtype=np.uint8).reshape(50, 3, 4),
    "y": np.arange(50, dtype=np.int64),
    "h": np.linspace(0, 1, 100, dtype=np.float32).reshape(50, 2),
    "none": np.zeros((0, 7), dtype=np.float64),
}
ATTRIBUTES = {"class_names": ["zero", "één"], "statistics": {"mean": 0.5}, "value_range": None}


@pytest.fixture(params=["hdf5", "zarr"])
def kind(request: pytest.FixtureRequest) -> ArrayFormat:
    return request.param


def write(path: Path, kind: ArrayFormat, rows: int = 7) -> tuple[Path, str]:
    target = path / f"data{SUFFIXES[kind]}"
    with ArrayWriter(target, kind) as writer:
        for name, array in ARRAYS.items():
            writer.allocate(name, array.shape, array.dtype)
            for start in range(0, len(array), rows):
                writer.append(name, array[start : start + rows])
        writer.attributes = ATTRIBUTES
    return target, writer.content


def test_arrays_and_attributes_come_back(tmp_path: Path, kind: ArrayFormat) -> None:
    file = open_arrays(write(tmp_path, kind)[0])
    assert file.names() == sorted(ARRAYS)
    assert file.attributes() == ATTRIBUTES
    for name, array in ARRAYS.items():
        assert file.shape(name) == array.shape
        assert file.dtype(name) == array.dtype
        np.testing.assert_array_equal(file.rows(name, 0, len(array)), array)
    np.testing.assert_array_equal(file.rows("X", 13, 29), ARRAYS["X"][13:29])
    file.close()


def test_content_does_not_depend_on_format_chunks_or_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = set()
    for chunk_bytes in (16, 100, 1 << 20):
        monkeypatch.setattr("nnpipe.store.zarr.CHUNK_BYTES", chunk_bytes)
        for kind, rows in (("hdf5", 1), ("zarr", 3), ("zarr", 50)):
            folder = tmp_path / f"{kind}-{chunk_bytes}-{rows}"
            folder.mkdir()
            path, content = write(folder, kind, rows)  # type: ignore[arg-type]
            file = open_arrays(path)
            contents |= {content, file_digest(file)}
            file.close()
    assert contents == {content_digest(ARRAYS, ATTRIBUTES)}


def test_content_digest_of_known_arrays_is_pinned() -> None:
    expected = "28ea4b3b203a5a2cfb172ee587f90d6f9de9c07683c49d0a3006e8c9e20d3aed"
    assert content_digest({"a": np.arange(6, dtype=np.int16).reshape(2, 3)}, {"n": 1}) == expected


@pytest.mark.parametrize(
    "other",
    [
        np.arange(6, dtype=np.int32),  # another dtype
        np.arange(6, dtype=np.int64).reshape(2, 3),  # another shape
        np.arange(6, dtype=np.int64)[::-1],  # other values
    ],
)
def test_dtype_shape_and_values_all_count(other: np.ndarray) -> None:
    assert array_digest(other) != array_digest(np.arange(6, dtype=np.int64))


def test_memory_order_and_byte_order_do_not_count() -> None:
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    assert array_digest(np.asfortranarray(array)) == array_digest(array)
    assert array_digest(array.astype(">i4")) == array_digest(array)


def test_an_array_that_was_not_filled_is_an_error(tmp_path: Path, kind: ArrayFormat) -> None:
    with (
        pytest.raises(StoreError, match="not whole"),
        ArrayWriter(tmp_path / f"a{SUFFIXES[kind]}", kind) as writer,
    ):
        writer.allocate("X", (3, 2), np.float32)
        writer.append("X", np.zeros((2, 2), np.float32))


def test_blocks_cover_the_rows_in_order(tmp_path: Path, kind: ArrayFormat) -> None:
    file = open_arrays(write(tmp_path, kind)[0])
    np.testing.assert_array_equal(np.concatenate(list(blocks(file, "X", size=100))), ARRAYS["X"])
    file.close()


@pytest.mark.parametrize("chosen", [[], [49], [3, 3, 0], range(50), range(49, -1, -1), [0, 49, 20, 21, 22, 1]], ids=str)
@pytest.mark.parametrize("alone", [0, 12, 1000], ids="{} bytes".format)
def test_rows_are_taken_by_their_numbers_in_any_order(
    tmp_path: Path, kind: ArrayFormat, chosen: Iterable[int], alone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are read one by one, or together with what lies between them."""
    monkeypatch.setattr("nnpipe.store.zarr.CHUNK_BYTES", 100)
    monkeypatch.setattr("nnpipe.store.stretch.PIECE", 100)
    monkeypatch.setattr("nnpipe.store.stretch.ALONE", alone)
    file, rows = open_arrays(write(tmp_path, kind)[0]), np.array(list(chosen), np.int64)
    for name in ("X", "y", "h"):
        found = file.take(name, rows)
        assert found.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(found, ARRAYS[name][rows])
    assert file.take("none", rows[:0]).shape == (0, 7)
    file.close()


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (7, 3)}, {"compression": "gzip"}, {"dtype": ">f4"}, {"dtype": "?"}, {"dtype": "f2"}],
    ids=str,
)
@pytest.mark.parametrize("before", [0, 512], ids="{} bytes before it".format)
def test_files_that_others_made_are_read_as_h5py_reads_them(
    tmp_path: Path, options: dict[str, object], before: int
) -> None:
    with h5py.File(tmp_path / "theirs.h5", "w", userblock_size=before) as made:
        made.create_dataset("X", data=np.arange(60).reshape(20, 3) % 7, **{"dtype": "i2", **options})
        expected = made["X"][:]
    file = open_arrays(tmp_path / "theirs.h5")
    assert file.rows("X", 0, 20).dtype == expected.dtype
    np.testing.assert_array_equal(file.rows("X", 4, 17), expected[4:17])
    np.testing.assert_array_equal(file.rows("X", 15, 99), expected[15:])
    np.testing.assert_array_equal(file.take("X", np.array([19, 0, 7])), expected[[19, 0, 7]])
    file.close()


def test_a_file_that_was_cut_short_while_it_is_open_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "hdf5")[0]
    file = open_arrays(path)
    assert len(file.rows("X", 0, 50)) == 50
    os.truncate(path, 2500)
    for read in (lambda: file.rows("X", 0, 50), lambda: file.take("X", np.array([0, 49]))):
        with pytest.raises(CorruptionError, match=r"data\.h5: the file ends before its rows do"):
            read()
    file.close()


def test_plain_h5py_and_plain_zarr_read_the_same(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path, "hdf5")[0]) as file:
        np.testing.assert_array_equal(file["X"][:], ARRAYS["X"])
    group = zarr.open_group(write(tmp_path, "zarr")[0], mode="r")
    np.testing.assert_array_equal(group["X"][:], ARRAYS["X"])
    assert dict(group.attrs) == ATTRIBUTES


def test_an_external_link_in_hdf5_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["X"] = np.ones(3)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["X"] = h5py.ExternalLink("secret.h5", "/X")
    opened = open_arrays(tmp_path / "data.h5")
    with pytest.raises(CorruptionError, match="not a data set of this file"):
        opened.rows("X", 0, 3)
    opened.close()


def test_a_virtual_data_set_in_hdf5_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["X"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "X", (3,))
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_virtual_dataset("X", layout)
    opened = open_arrays(tmp_path / "data.h5")
    with pytest.raises(CorruptionError, match="not a data set of this file"):
        opened.shape("X")
    opened.close()


def test_what_is_neither_hdf5_nor_zarr_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.h5").write_bytes(b"no such format")
    (tmp_path / "data.zarr").mkdir()
    for name in ("data.h5", "data.zarr"):
        with pytest.raises(CorruptionError, match="not a readable"):
            open_arrays(tmp_path / name)


WRITE = """\
import sys
from pathlib import Path
import numpy as np
import zarr
from nnpipe.store.array_writer import ArrayWriter

zarr.config.set({"threading.max_workers": int(sys.argv[2]), "async.concurrency": int(sys.argv[2])})
values = np.random.default_rng(0).integers(0, 4, (3000, 3000), dtype=np.uint8)
with ArrayWriter(Path(sys.argv[1]), "zarr") as writer:
    writer.allocate("X", values.shape, values.dtype)
    writer.append("X", values)
    writer.attributes = {"a": 1}
"""


def test_the_bytes_of_a_zarr_directory_do_not_depend_on_threads_or_process(tmp_path: Path) -> None:
    """Two processes, as zarr has one pool of threads a process."""
    found = []
    for threads in ("1", "8"):
        place = tmp_path / threads
        subprocess.run([sys.executable, "-c", WRITE, place, threads], check=True)
        found.append({file.relative_to(place): file.read_bytes() for file in place.rglob("*") if file.is_file()})
    assert found[0] == found[1]
    assert len(found[0]) == 2 + 3


def test_zeros_are_chunks_like_any_other(tmp_path: Path) -> None:
    """What is not there cannot be told from what was lost."""
    with ArrayWriter(tmp_path / "a.zarr", "zarr") as writer:
        writer.allocate("X", (10, 2), np.float32)
        writer.append("X", np.zeros((10, 2), np.float32))
    assert (tmp_path / "a.zarr" / "X" / "c" / "0" / "0").is_file()


def test_an_array_may_be_allocated_after_rows_of_another(tmp_path: Path, kind: ArrayFormat) -> None:
    with ArrayWriter(tmp_path / f"a{SUFFIXES[kind]}", kind) as writer:
        for name in ("X", "y"):
            writer.allocate(name, ARRAYS[name].shape, ARRAYS[name].dtype)
            writer.append(name, ARRAYS[name])
    assert writer.content == content_digest({name: ARRAYS[name] for name in ("X", "y")}, {})
    file = open_arrays(tmp_path / f"a{SUFFIXES[kind]}")
    assert file_digest(file) == writer.content
    file.close()
