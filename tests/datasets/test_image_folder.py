from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnpipe.datasets.sources.image_folder import ImageFolder
from nnpipe.datasets.sources.source import Description, Opened
from nnpipe.errors import DataError

RNG = np.random.default_rng(0)


def put(path: Path, size: tuple[int, int] = (4, 5), mode: str = "L") -> np.ndarray:
    pixels = RNG.integers(0, 256, size if mode == "L" else (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def all_of(opened: Opened, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*opened.blocks(split), strict=True)
    return np.concatenate(x), np.concatenate(y)


def test_folders_are_classes_and_names_are_the_order(tmp_path: Path) -> None:
    pixels = {name: put(tmp_path / name) for name in ("dog/b.png", "cat/z.bmp", "dog/a.png", "cat/y.gif")}
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    source = ImageFolder(path=tmp_path.name)
    opened = source.open(tmp_path.parent, 0)
    x, y = all_of(opened)
    expected = [pixels[name] for name in ("cat/y.gif", "cat/z.bmp", "dog/a.png", "dog/b.png")]
    np.testing.assert_array_equal(x, np.stack(expected)[:, None])
    assert y.tolist() == [0, 0, 1, 1]
    assert opened.class_names == ("cat", "dog")
    assert source.describe(tmp_path.parent) == Description((1, 4, 5), 2)
    assert [path.name for path in source.files(tmp_path.parent)] == ["y.gif", "z.bmp", "a.png", "b.png"]


def test_colours_are_channels_that_come_first(tmp_path: Path) -> None:
    red = put(tmp_path / "a" / "1.png", mode="RGB")
    put(tmp_path / "b" / "1.png", mode="RGB")
    opened = ImageFolder(path=".", channels=3).open(tmp_path, 0)
    assert opened.shape == (3, 4, 5)
    np.testing.assert_array_equal(all_of(opened)[0][0], red.transpose(2, 0, 1))


def test_train_and_test_folders_are_splits(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "train/b/2.png", "test/b/1.png", "test/a/1.png"):
        put(tmp_path / name)
    opened = ImageFolder(path=".").open(tmp_path, 0)
    assert opened.splits == {"train": 3, "test": 2}
    assert all_of(opened, "test")[1].tolist() == [0, 1]


def test_a_tested_class_that_is_not_trained_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    for name in ("train/cats/1.png", "train/dogs/1.png", "test/cat/1.png", "test/dogs/1.png"):
        put(tmp_path / name)
    with pytest.raises(DataError, match=r"class 'cat' is tested but not trained(.|\n)*did you mean 'cats'"):
        ImageFolder(path=".").describe(tmp_path)


def test_an_image_of_another_size_is_refused_by_name_unless_a_size_is_given(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "odd.png", (6, 7))
    with pytest.raises(DataError, match=r"odd\.png: an image of another size\n.*\n.*height 6 and width 7"):
        all_of(ImageFolder(path=".").open(tmp_path, 0))
    opened = ImageFolder(path=".", size=(2, 3)).open(tmp_path, 0)
    assert all_of(opened)[0].shape == (2, 1, 2, 3)


def test_an_empty_class_folder_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path / "full" / "1.png")
    (tmp_path / "hollow").mkdir()
    with pytest.raises(DataError, match="the folder of class 'hollow' is empty") as refused:
        ImageFolder(path=".").describe(tmp_path)
    assert refused.value.where == str(tmp_path / "hollow")


def test_a_folder_without_classes_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    with pytest.raises(DataError, match="no classes to tell apart") as refused:
        ImageFolder(path=".").describe(tmp_path)
    assert refused.value.where == str(tmp_path)


def test_a_missing_folder_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    put(tmp_path / "pets" / "cat" / "1.png")
    with pytest.raises(DataError, match=r"there is no pet(.|\n)*did you mean '.*pets'"):
        ImageFolder(path="pet").describe(tmp_path)


@pytest.mark.parametrize("damage", ["text", "half", "empty"])
def test_an_unreadable_image_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "bad.png", (40, 50))
    bad = tmp_path / "b" / "bad.png"
    bad.write_bytes({"text": b"no image", "half": bad.read_bytes()[:500], "empty": b""}[damage])
    opened = ImageFolder(path=".", size=(4, 5)).open(tmp_path, 0)
    with pytest.raises(DataError, match=r"bad\.png: an image cannot be read"):
        all_of(opened)


def test_an_image_of_sixteen_bits_is_refused_rather_than_cut_off(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    Image.fromarray(np.full((4, 5), 40_000, np.uint16)).save(tmp_path / "b" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png: an image of more than 8 bits"):
        all_of(ImageFolder(path=".").open(tmp_path, 0))
