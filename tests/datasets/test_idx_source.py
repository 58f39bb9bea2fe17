from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from nnpipe.datasets.sources.fashion_mnist import FashionMnist
from nnpipe.datasets.sources.idx import Idx
from nnpipe.datasets.sources.kmnist import Kmnist
from nnpipe.datasets.sources.mnist import Mnist
from nnpipe.datasets.sources.source import Description, Opened
from nnpipe.datasets.sources.well_known import FILES, WellKnown
from nnpipe.errors import DataError

WriteIdx = Callable[[Path, np.ndarray], Path]
IDX = Idx(images="x", labels="y")


def all_of(opened: Opened, split: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*opened.blocks(split), strict=True)
    return np.concatenate(x), np.concatenate(y)


def put_well_known(
    write_idx: WriteIdx, folder: Path, images: np.ndarray, labels: np.ndarray, suffix: str = ".gz"
) -> None:
    for x, y in FILES.values():
        write_idx(folder / (x + suffix), images)
        write_idx(folder / (y + suffix), labels)


def test_images_get_a_channel_and_labels_become_class_numbers(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    write_idx(tmp_path / "x", images)
    write_idx(tmp_path / "y", labels)
    opened = IDX.open(tmp_path, 0)
    x, y = all_of(opened, "train")
    np.testing.assert_array_equal(x, images[:, None])
    np.testing.assert_array_equal(y, labels)
    assert (x.dtype, y.dtype, opened.dtype) == (np.uint8, np.int64, np.uint8)
    assert opened.class_names == ("0", "1", "2")
    assert opened.value_range == (0, 255)
    assert IDX.describe(tmp_path) == Description((1, 4, 5), 3)


def test_values_that_are_not_bytes_become_float32(tmp_path: Path, write_idx: WriteIdx, labels: np.ndarray) -> None:
    write_idx(tmp_path / "x", np.linspace(0, 1, 36).reshape(12, 3))
    write_idx(tmp_path / "y", labels)
    opened = IDX.open(tmp_path, 0)
    assert (opened.shape, opened.dtype, opened.value_range) == ((3,), np.float32, None)
    assert all_of(opened, "train")[0].dtype == np.float32


def test_own_test_files_are_a_split_of_their_own(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    source = Idx(images="x", labels="y", test_images="tx", test_labels="ty", class_names=("a", "b", "c"))
    for name, array in {"x": images, "y": labels, "tx": images[:5], "ty": labels[:5]}.items():
        write_idx(tmp_path / name, array)
    opened = source.open(tmp_path, 0)
    assert opened.splits == {"train": 12, "test": 5}
    np.testing.assert_array_equal(all_of(opened, "test")[0], images[:5, None])
    assert source.describe(tmp_path) == Description((1, 4, 5), 3)
    assert source.files(tmp_path) == [tmp_path / name for name in ("x", "y", "tx", "ty")]


def test_test_images_without_labels_are_refused() -> None:
    with pytest.raises(ValidationError, match="test_labels is missing"):
        Idx(images="x", labels="y", test_images="tx")


def test_class_names_that_are_the_same_are_refused() -> None:
    with pytest.raises(ValidationError, match="two classes are called 'a'"):
        Idx(images="x", labels="y", class_names=("a", "b", "a"))


def test_files_whose_counts_differ_are_refused_by_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    write_idx(tmp_path / "x", images)
    write_idx(tmp_path / "y", labels[:-1])
    with pytest.raises(DataError, match="y: the numbers of images and labels differ") as refused:
        IDX.open(tmp_path, 0)
    assert str(tmp_path / "x") in str(refused.value)
    assert refused.value.found == "11 labels"


def test_test_images_of_another_size_are_refused_by_name(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    for name, array in {"x": images, "y": labels, "tx": images[:, :3], "ty": labels}.items():
        write_idx(tmp_path / name, array)
    with pytest.raises(DataError, match="tx: test examples are not like the training examples"):
        Idx(images="x", labels="y", test_images="tx", test_labels="ty").open(tmp_path, 0)


def test_a_label_out_of_range_is_refused_with_its_file_and_row(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    labels[7] = 3
    write_idx(tmp_path / "x", images)
    write_idx(tmp_path / "y", labels)
    opened = Idx(images="x", labels="y", class_names=("a", "b", "c")).open(tmp_path, 0)
    with pytest.raises(DataError, match=r"y: a label is out of range\n.*0 to 2\n.*3 for example 7"):
        all_of(opened, "train")


def test_labels_that_start_at_one_are_refused(
    tmp_path: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray
) -> None:
    write_idx(tmp_path / "x", images)
    write_idx(tmp_path / "y", labels + 1)
    with pytest.raises(DataError, match=r"y: the labels leave out a class\n.*\n.*no example of class 0"):
        IDX.open(tmp_path, 0)


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path, write_idx: WriteIdx, images: np.ndarray) -> None:
    write_idx(tmp_path / "digits" / "images.idx", images)
    with pytest.raises(DataError, match=r"there is no digits/image\.idx") as refused:
        Idx(images="digits/image.idx", labels="y").describe(tmp_path)
    assert str(tmp_path / "digits" / "images.idx") in str(refused.value.hint)


@pytest.mark.parametrize("source", [Mnist(), FashionMnist(), Kmnist()], ids=lambda source: source.kind)
class TestWellKnown:
    @pytest.fixture(autouse=True)
    def data(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("NNPIPE_DATA", str(tmp_path))
        return tmp_path

    def test_the_class_names_are_ten_and_those_that_torchvision_knows(self, source: WellKnown) -> None:
        from torchvision import datasets

        known = getattr(datasets, source.torchvision_name).classes
        assert source.names == tuple(name.split(" - ")[0] for name in known)
        assert [name for name, _ in getattr(datasets, source.torchvision_name).resources] == [
            f"{name}.gz" for pair in FILES.values() for name in pair
        ]

    def test_absent_files_are_described_by_what_is_known_of_them(self, source: WellKnown, data: Path) -> None:
        assert source.describe(data) == Description((1, 28, 28), 10)
        assert source.files(data) is None

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_small_files_of_the_same_form_are_read(
        self, source: WellKnown, data: Path, write_idx: WriteIdx, images: np.ndarray, labels: np.ndarray, suffix: str
    ) -> None:
        put_well_known(write_idx, data / source.kind, images, labels, suffix)
        assert source.describe(data) == Description((1, 4, 5), 10)
        opened = source.open(data, 0)
        assert opened.splits == {"train": 12, "test": 12}
        assert opened.class_names == source.names
        np.testing.assert_array_equal(all_of(opened, "test")[0], images[:, None])
        source.fetch(data)  # nothing is missing, so nothing is asked of the network

    def test_a_download_that_fails_says_what_to_put_where(
        self, source: WellKnown, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr("torchvision.datasets.utils.download_url", refuse)
        with pytest.raises(DataError, match="no route to host") as refused:
            source.fetch(data)
        assert refused.value.where == str(data / source.kind)
        assert "t10k-labels-idx1-ubyte" in str(refused.value.expected)
        assert "NNPIPE_DATA" in str(refused.value.hint)
        assert list((data / source.kind).iterdir()) == []

    def test_only_what_is_missing_is_downloaded_and_another_mirror_is_tried(
        self,
        source: WellKnown,
        data: Path,
        monkeypatch: pytest.MonkeyPatch,
        write_idx: WriteIdx,
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        put_well_known(write_idx, data / "elsewhere", images, labels)
        write_idx(data / source.kind / FILES["train"][0], images)
        asked = []

        def download(url: str, folder: str, name: str, md5: str) -> None:
            asked.append(name)
            if url.startswith("broken:"):
                Path(folder, name).write_bytes(b"half")
                raise RuntimeError("File not found or corrupted.")
            Path(folder, name).write_bytes((data / "elsewhere" / name).read_bytes())

        monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
        monkeypatch.setattr(f"torchvision.datasets.{source.torchvision_name}.mirrors", ["broken:", "good:"])
        source.fetch(data)
        assert f"{FILES['train'][0]}.gz" not in asked
        assert len(asked) == 6
        assert source.open(data, 0).splits == {"train": 12, "test": 12}
        assert all(path.is_file() for path in (data / source.kind).iterdir())
