from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnpipe.datasets.idx import open_idx
from nnpipe.errors import DataError

WriteIdx = Callable[[Path, np.ndarray], Path]


def read(path: Path, rows: int = 5) -> np.ndarray:
    return np.concatenate(list(open_idx(path, (1, 2, 3, 4)).blocks(rows)))


def test_images_and_labels_are_read_as_torchvision_reads_them(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    x, y = write_idx(tmp_path / "images", images), write_idx(tmp_path / "labels", labels)
    np.testing.assert_array_equal(read(x), read_image_file(str(x)).numpy())
    np.testing.assert_array_equal(read(y), read_label_file(str(y)).numpy())


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_every_type_of_value_comes_back_raw_and_gzipped(
    tmp_path: Path, write_idx: WriteIdx, dtype: str, name: str
) -> None:
    array = np.arange(-20, 40).astype(dtype).reshape(10, 2, 3)
    np.testing.assert_array_equal(read(write_idx(tmp_path / name, array)), array)


def test_a_gzipped_file_is_known_by_its_bytes_and_not_by_its_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray
) -> None:
    write_idx(tmp_path / "file.gz", images).rename(tmp_path / "file")
    np.testing.assert_array_equal(read(tmp_path / "file"), images)


def test_a_wrong_magic_number_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"images: not the IDX file.*\n.*\n.*89 50 4e 47"):
        open_idx(path, (3,))


def test_labels_in_the_place_of_images_are_refused(tmp_path: Path, write_idx: WriteIdx, labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="images: not the IDX file that belongs here"):
        open_idx(write_idx(tmp_path / "images", labels), (2, 3, 4))


@pytest.mark.parametrize("bytes_left", [0, 3, 10, 16, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_idx_file_is_refused_by_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, bytes_left: int, packed: bool
) -> None:
    data = write_idx(tmp_path / "whole", images).read_bytes()[:bytes_left]
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=str(path)):
        read(path)


def test_bytes_after_the_last_value_are_refused_by_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray
) -> None:
    path = write_idx(tmp_path / "images", images)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="images: more bytes than its header says"):
        read(path)


def test_a_truncated_gzip_file_is_refused_by_name(tmp_path: Path, write_idx: WriteIdx, images: np.ndarray) -> None:
    path = write_idx(tmp_path / "images.gz", images)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"images\.gz: a gzipped file is cut short"):
        read(path)


@pytest.mark.parametrize("place", [30, 200, -5])
def test_damaged_gzip_data_are_refused_by_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, place: int
) -> None:
    path = write_idx(tmp_path / "images.gz", images)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"images\.gz: "):
        read(path)


def test_a_header_that_promises_more_than_the_file_can_hold_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + b"\x7f\xff\xff\xff" * 3))
    with pytest.raises(DataError, match=r"images\.gz: an IDX file is cut short"):
        open_idx(path, (3,))


def test_a_file_without_values_is_refused(tmp_path: Path, write_idx: WriteIdx) -> None:
    with pytest.raises(DataError, match="images: an IDX file without values"):
        open_idx(write_idx(tmp_path / "images", np.zeros((0, 4, 5), np.uint8)), (3,))
