from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from pydantic import ValidationError

from nnpipe.datasets.sources.arrays import Arrays
from nnpipe.datasets.sources.source import Description, Opened
from nnpipe.errors import DataError

Put = Callable[[Path, Mapping[str, np.ndarray]], None]


def put_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(path, **arrays)


def put_h5(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def put_zarr(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    group = zarr.open_group(path, mode="w")
    for name, array in arrays.items():
        group.create_array(name, data=array)


PUT: dict[str, Put] = {"data.npz": put_npz, "data.h5": put_h5, "data.zarr": put_zarr}
Y = np.array([0, 1, 2, 1, 0, 2])


@pytest.fixture(params=sorted(PUT))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def source(name: str = "data.npz", **options: object) -> Arrays:
    return Arrays.model_validate({"path": name, "images": "X", "labels": "y", **options})


def all_of(opened: Opened, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*opened.blocks(split), strict=True)
    return np.concatenate(x), np.concatenate(y)


def opened(folder: Path, name: str, arrays: Mapping[str, np.ndarray], **options: object) -> Opened:
    PUT[name](folder / name, arrays)
    return source(name, **options).open(folder, 0)


@pytest.mark.parametrize(
    ("stored", "order"),
    [
        ((6, 7), None),
        ((6, 4, 5), None),
        ((6, 3, 4, 5), None),
        ((6, 8, 5, 3), (0, 3, 1, 2)),
        ((6, 8, 5, 1), (0, 3, 1, 2)),
    ],
)
def test_examples_come_back_with_channels_first(
    tmp_path: Path, name: str, stored: tuple[int, ...], order: tuple[int, ...] | None
) -> None:
    X = np.random.default_rng(0).normal(size=stored).astype(np.float32)
    found = opened(tmp_path, name, {"X": X, "y": Y})
    x, y = all_of(found)
    expected = X.transpose(order) if order else X[:, None] if X.ndim == 3 else X
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, Y)
    assert found.shape == expected.shape[1:]
    assert source(name).describe(tmp_path) == Description(expected.shape[1:], 3)


def test_examples_arrive_in_blocks_and_in_order(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 4 * 2 * 3)
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    for array in (X, np.asfortranarray(X)):
        blocks = list(opened(tmp_path, name, {"X": array, "y": Y}).blocks("train"))
        assert [len(x) for x, _ in blocks] == [3, 3]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in blocks]), X)


def test_channels_that_could_be_first_or_last_need_a_layout(tmp_path: Path, name: str) -> None:
    X = np.random.default_rng(0).integers(0, 256, (6, 3, 9, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="which dimension holds the channels cannot be told"):
        opened(tmp_path, name, {"X": X, "y": Y})
    assert source(name, layout="channels_first").open(tmp_path, 0).shape == (3, 9, 3)
    np.testing.assert_array_equal(
        all_of(source(name, layout="channels_last").open(tmp_path, 0))[0], X.transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize(
    ("dtype", "kept", "value_range"),
    [("u1", "u1", (0, 255)), ("?", "u1", (0, 1)), ("i2", "f4", None), (">f8", "f4", None), ("f2", "f4", None)],
)
def test_bytes_stay_bytes_and_all_else_becomes_float32(
    tmp_path: Path, name: str, dtype: str, kept: str, value_range: tuple[float, float] | None
) -> None:
    X = np.array([[0, 1]] * 6).astype(dtype)
    found = opened(tmp_path, name, {"X": X, "y": Y})
    assert (found.dtype, found.value_range) == (np.dtype(kept), value_range)
    assert all_of(found)[0].dtype == np.dtype(kept)


@pytest.mark.parametrize("labels", [Y.astype(np.float64), Y.astype(np.uint8), Y[:, None], Y.astype(">i4")])
def test_labels_may_be_whole_numbers_of_any_type(tmp_path: Path, name: str, labels: np.ndarray) -> None:
    found = opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": labels})
    np.testing.assert_array_equal(all_of(found)[1], Y)
    assert found.class_names == ("0", "1", "2")


def test_own_test_arrays_are_a_split_of_their_own(tmp_path: Path, name: str) -> None:
    X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    arrays = {"X": X, "y": Y, "X_test": X[:2], "y_test": Y[:2]}
    options = {"test_images": "X_test", "test_labels": "y_test", "class_names": ["a", "b", "c"]}
    found = opened(tmp_path, name, arrays, **options)
    assert found.splits == {"train": 6, "test": 2}
    assert found.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(all_of(found, "test")[0], X[:2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_value_that_is_not_finite_is_refused_with_its_file_array_and_row(
    tmp_path: Path, name: str, bad: float
) -> None:
    X = np.zeros((6, 2, 2))
    X[4, 1, 0] = bad
    found = opened(tmp_path, name, {"X": X, "y": Y})
    with pytest.raises(
        DataError, match=f"{name}:X: a value is not a finite number\n.*\n.*{re.escape(str(bad))} in example 4"
    ):
        all_of(found)


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan, np.inf, 3])
def test_a_label_that_is_no_class_is_refused_with_its_file_array_and_row(tmp_path: Path, name: str, bad: float) -> None:
    labels = Y.astype(np.float64)
    labels[3] = bad
    with pytest.raises(DataError, match=f"{name}:y: a label is out of range\n.*\n.* for example 3"):
        all_of(opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": labels}, class_names=["a", "b", "c"]))


def test_one_hot_labels_are_refused_with_the_way_to_mend_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"argmax"):
        opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": np.eye(3)[Y]})


def test_arrays_whose_counts_differ_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}:y: the numbers of images and labels differ"):
        opened(tmp_path, name, {"X": np.zeros((7, 2)), "y": Y})


def test_a_missing_array_is_named_with_the_nearest_one(tmp_path: Path, name: str) -> None:
    PUT[name](tmp_path / name, {"X": np.zeros((6, 2)), "labels": Y})
    with pytest.raises(DataError, match=f"{name}: there is no array 'label'") as refused:
        source(name, labels="label").describe(tmp_path)
    assert refused.value.hint == "did you mean 'labels'?"


def test_text_is_refused_by_file_and_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.npz:X: not an array of numbers"):
        opened(tmp_path, "data.npz", {"X": np.array([["a"]] * 6), "y": Y})


def test_pickled_objects_are_refused_and_not_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("it was unpickled",))

    with pytest.raises(DataError, match=r"data\.npz:y: not an array of numbers"):
        opened(tmp_path, "data.npz", {"X": np.zeros((6, 2)), "y": np.array([Trap()] * 6, object)})


def test_objects_of_hdf5_are_refused_by_file_and_array(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["X"] = np.zeros((6, 2))
        file["y"] = ["one"] * 6
    with pytest.raises(DataError, match=r"data\.h5:y: not an array of numbers"):
        source("data.h5").open(tmp_path, 0)


def test_a_group_in_the_place_of_an_array_is_refused(tmp_path: Path) -> None:
    put_h5(tmp_path / "data.h5", {"X/deep": np.zeros((6, 2)), "y": Y})
    put_zarr(tmp_path / "data.zarr", {"X/deep": np.zeros((6, 2)), "y": Y})
    for name in ("data.h5", "data.zarr"):
        with pytest.raises(DataError, match=r"'X' is not an array that lies in this file|there is no array 'X'"):
            source(name).describe(tmp_path)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither fish nor flesh")
    with pytest.raises(DataError, match=f"{name}: the file cannot be read"):
        source(name).describe(tmp_path)


@pytest.mark.parametrize("name", ["data.npz", "data.h5"])
@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, name: str, kept: float) -> None:
    PUT[name](tmp_path / name, {"X": np.zeros((6, 500)), "y": Y})
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DataError, match=f"{name}"):
        all_of(source(name).open(tmp_path, 0))


def test_damage_inside_an_npz_is_refused_by_file_and_array(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    X = np.random.default_rng(0).normal(size=(6, 500))
    put_npz(path, {"X": X, "y": Y})
    data = bytearray(path.read_bytes())
    place = data.find(X[3].tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"data\.npz:X: the array cannot be read"):
        all_of(source().open(tmp_path, 0))


def test_a_header_that_lies_about_its_array_is_refused_by_file_and_array(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    put_npz(path, {"X": np.zeros((6, 2)), "y": Y})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["X.npy"] = members["X.npy"].replace(b"(6, 2)", b"(6, 3)")
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with pytest.raises(DataError, match=r"data\.npz:X: an array is not as long as it should be"):
        source().open(tmp_path, 0)


def test_the_path_does_not_count_in_the_recipe_but_the_files_do(tmp_path: Path, name: str) -> None:
    from nnpipe.spec import identity

    PUT[name](tmp_path / name, {"X": np.zeros((6, 2)), "y": Y})
    assert "path" not in identity(source(name))
    files = source(name).files(tmp_path)
    assert files
    assert all(path.is_file() for path in files)


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    put_npz(tmp_path / "digits.npz", {"X": np.zeros((6, 2)), "y": Y})
    for ask in (Arrays.describe, Arrays.files):
        with pytest.raises(DataError, match=r"there is no digit\.npz(.|\n)*did you mean '.*digits\.npz'"):
            ask(source("digit.npz"), tmp_path)


NUMBERS = np.array([0.5, 1.0, -2.0, 3.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("labels", "options", "names"),
    [
        (NUMBERS, {}, ("y",)),
        (NUMBERS[:, None], {}, ("y",)),
        (np.stack([NUMBERS, 2 * NUMBERS], 1), {}, ("y[0]", "y[1]")),
        (np.stack([NUMBERS, 2 * NUMBERS], 1), {"target_names": ["width", "height"]}, ("width", "height")),
        (Y, {"task": "regression"}, ("y",)),
        (np.eye(3)[Y], {"target_names": ["a", "b", "c"]}, ("a", "b", "c")),
    ],
    ids=["fractions", "a column", "columns", "names", "whole numbers", "whole columns"],
)
def test_numbers_to_learn_are_told_by_fractions_or_by_the_spec(
    tmp_path: Path, name: str, labels: np.ndarray, options: dict[str, object], names: tuple[str, ...]
) -> None:
    found = opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": labels}, **options)
    assert (found.class_names, found.target_names) == ((), names)
    targets = all_of(found)[1]
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, labels.reshape(6, -1))
    assert source(name, **options).describe(tmp_path) == Description((2,), 0, len(names))


@pytest.mark.parametrize("options", [{"task": "classification"}, {"class_names": ["a", "b", "c"]}])
def test_fractions_are_no_classes_where_the_spec_asks_for_classes(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=f"{name}:y: a label is out of range"):
        all_of(opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": NUMBERS}, **options))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_number_to_learn_that_is_not_finite_is_refused_with_its_file_array_and_row(
    tmp_path: Path, name: str, bad: float
) -> None:
    labels = NUMBERS.copy()
    labels[4] = bad
    with pytest.raises(DataError, match=f"{name}:y: a value is not a finite number\n.*\n.* in example 4"):
        all_of(opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": labels}))


def test_numbers_of_three_dimensions_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}:y: not the numbers of each example"):
        all_of(opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": np.full((6, 2, 2), 0.5)}))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {"target_names": ["a", "b"]}, "differ in their count"),
        ({"y_test": np.full((6, 2), 0.5)}, {"test_images": "X", "test_labels": "y_test"}, "y_test: numbers to learn"),
    ],
)
def test_counts_of_numbers_that_do_not_agree_are_refused(
    tmp_path: Path, name: str, arrays: dict[str, np.ndarray], options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path, name, {"X": np.zeros((6, 2)), "y": NUMBERS, **arrays}, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"task": "regression", "class_names": ["a", "b"]},
        {"task": "classification", "target_names": ["a"]},
        {"target_names": ["a"], "class_names": ["a", "b"]},
    ],
)
def test_names_of_another_task_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="classes or numbers to learn, not both"):
        source(**options)


def test_the_hint_for_columns_of_whole_numbers_tells_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        opened(tmp_path, "data.npz", {"X": np.zeros((6, 2)), "y": np.eye(3)[Y]})
    assert "argmax" in str(refused.value.hint)
    assert "task: regression" in str(refused.value.hint)
