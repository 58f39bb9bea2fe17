from __future__ import annotations

import gzip
import json
import os
import struct
import tracemalloc
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from nnpipe.errors import DataError, Interrupted
from nnpipe.stages.ingest import Ingest, ingest
from nnpipe.stages.work import Silent, Work
from nnpipe.store.arrays import SUFFIXES, file_digest, open_arrays
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output


class NeverDue(DiskCheckpoints):
    """However long a busy machine takes; what checkpoints do is in test_ingest_resume.py."""

    def due(self) -> bool:
        return False


def work_in(folder: Path, seed: int = 0) -> Work:
    output = folder / "output"
    output.mkdir(parents=True)
    checkpoints = NeverDue(folder / "work", 1000)
    return Work("ingest", {}, Output(output), seed, folder, checkpoints)


def ingested(folder: Path, source: Any, seed: int = 0, **options: Any) -> Work:
    work = work_in(folder, seed)
    ingest(Ingest.model_validate({"source": source, **options}), work)
    return work


def put(folder: Path, X: np.ndarray, y: np.ndarray, **more: np.ndarray) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", X=X, y=y, **more)
    return {"kind": "arrays", "path": "data.npz", "images": "X", "labels": "y"}


def put_idx(path: Path, array: np.ndarray) -> None:
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


@pytest.fixture(name="X")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 4, 5), dtype=np.uint8)


@pytest.fixture(name="y")
def labels() -> np.ndarray:
    return np.arange(60) % 3


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
def test_plain_h5py_and_plain_zarr_read_what_was_kept(tmp_path: Path, kind: str, X: np.ndarray, y: np.ndarray) -> None:
    """Nothing of nnpipe is needed to read its data."""
    work = ingested(tmp_path, put(tmp_path, X, y), format=kind, validation=6, test=12)
    path = work.output.directory / f"data{SUFFIXES[kind]}"
    if kind == "hdf5":
        with h5py.File(path) as file:
            attributes = {name: json.loads(text) for name, text in file.attrs.items()}
            arrays = {name: array[:] for name, array in file.items()}
    else:
        group = zarr.open_group(path, mode="r")
        attributes, arrays = dict(group.attrs), {name: array[:] for name, array in group.arrays()}
    assert {name: len(array) for name, array in arrays.items()} == {
        "X_train": 42,
        "y_train": 42,
        "X_validation": 6,
        "y_validation": 6,
        "X_test": 12,
        "y_test": 12,
    }
    whole = np.concatenate([arrays[f"X_{name}"] for name in ("train", "validation", "test")])
    assert sorted(image.tobytes() for image in whole) == sorted(image.tobytes() for image in X)
    row = {image.tobytes(): number for number, image in enumerate(X)}
    for name in ("train", "validation", "test"):
        assert [y[row[image.tobytes()]] for image in arrays[f"X_{name}"]] == arrays[f"y_{name}"].tolist()
        counts = np.bincount(arrays[f"y_{name}"], minlength=3).tolist()
        assert attributes["statistics"]["class_counts"][name] == counts
    assert attributes["format"] == "nnpipe-data/1"
    assert attributes["source"] == "arrays"
    assert attributes["input_shape"] == [1, 4, 5]
    assert attributes["class_names"] == ["0", "1", "2"]
    assert attributes["value_range"] == [0, 255]
    assert attributes["statistics"]["mean"] == pytest.approx(arrays["X_train"].mean(), rel=1e-12)
    assert attributes["statistics"]["std"] == pytest.approx(arrays["X_train"].std(), rel=1e-12)


def test_hdf5_and_zarr_have_one_content_digest_and_it_is_that_of_the_files(tmp_path: Path) -> None:
    digests = set()
    for kind in ("hdf5", "zarr"):
        work = ingested(tmp_path / kind, {"kind": "digits"}, format=kind, validation=0.1)
        file = open_arrays(work.output.directory / f"data{SUFFIXES[kind]}")
        digests |= {work.output.parts["data"], file_digest(file)}
        file.close()
    assert len(digests) == 1


def test_the_content_does_not_depend_on_the_size_of_blocks(
    tmp_path: Path, X: np.ndarray, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, contents = put(tmp_path, X.astype(np.float32) / 7, y), set()
    for size in (4 << 20, 1000, 1):
        monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", size)
        (tmp_path / str(size)).mkdir()
        work = ingested(tmp_path / str(size), {**source, "path": "../data.npz"}, validation=0.1)
        contents.add(work.output.content())
    assert len(contents) == 1


def test_the_summary_says_what_a_listing_shows(tmp_path: Path) -> None:
    summary = ingested(tmp_path, {"kind": "two_classes", "samples": 100}).output.summary
    assert summary["input_shape"] == [2]
    assert (summary["classes"], summary["class_names"]) == (2, ["0", "1"])
    assert summary["examples"] == {"train": 80, "validation": 0, "test": 20}
    assert summary["value_range"] is None
    assert set(summary["statistics"]) == {"mean", "std", "min", "max"}
    assert np.sum(list(summary["class_counts"].values()), axis=0).tolist() == [50, 50]


def test_vectors_are_described_feature_by_feature(tmp_path: Path, y: np.ndarray) -> None:
    X = np.random.default_rng(0).normal([1, 2, 3], 1, (60, 3))
    work = ingested(tmp_path, put(tmp_path, X, y))
    with h5py.File(work.output.directory / "data.h5") as file:
        train = file["X_train"][:].astype(np.float64)
        assert "X_validation" not in file
    file = open_arrays(work.output.directory / "data.h5")
    statistics = file.attributes()["statistics"]
    file.close()
    np.testing.assert_allclose(statistics["feature_mean"], train.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics["feature_std"], train.std(axis=0), rtol=1e-12)


def test_the_seed_of_the_stage_draws_the_splits_and_made_up_data(tmp_path: Path) -> None:
    source = {"kind": "two_classes", "samples": 100}
    contents = [
        ingested(tmp_path / name, source, seed).output.content() for name, seed in {"a": 0, "b": 0, "c": 1}.items()
    ]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.full((60, 2), np.nan)}, r"data\.npz:X: a value is not a finite number"),
        ({"y": np.arange(59) % 3}, r"data\.npz:y: the numbers of images and labels differ"),
        ({"y": np.arange(60) % 3 + 1}, r"data\.npz:y: the labels leave out a class"),
        ({"y": np.zeros(60)}, "all training examples are of one class"),
        ({"y": np.arange(60) - 1}, r"data\.npz:y: a label is out of range"),
    ],
)
def test_broken_data_are_refused_by_name(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    arrays = {"X": np.zeros((60, 2)), "y": np.arange(60) % 3, **change}
    work = work_in(tmp_path)
    with pytest.raises(DataError, match=message):
        ingest(Ingest.model_validate({"source": put(tmp_path, **arrays)}), work)
    assert work.output.parts == {}


def test_a_class_that_is_named_may_have_no_training_examples(tmp_path: Path, X: np.ndarray, y: np.ndarray) -> None:
    source = {**put(tmp_path, X, y), "class_names": ["a", "b", "c", "never seen"]}
    assert ingested(tmp_path, source).output.summary["class_counts"]["train"][3] == 0


def test_a_wish_to_stop_is_met_between_blocks(tmp_path: Path, X: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    class StopAtOnce(Silent):
        def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
            assert (stage, done, total, measures) == ("ingest", 1, 60, {})
            work.stopping.set()

    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 1)
    work = work_in(tmp_path)
    work.observer = StopAtOnce()
    source = put(tmp_path, X, np.arange(60) % 3)
    with pytest.raises(Interrupted, match="after reading 1 of 60 examples"):
        ingest(Ingest.model_validate({"source": source}), work)


def test_progress_is_told_a_few_times_and_at_the_end(
    tmp_path: Path, X: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    class Listener(Silent):
        def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
            told.append((done, total))

    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 1)
    monkeypatch.setattr("nnpipe.stages.ingest.TELL_EVERY", 3600)
    work = work_in(tmp_path)
    work.observer = Listener()
    ingest(Ingest.model_validate({"source": put(tmp_path, X, np.arange(60) % 3)}), work)
    assert told == [(1, 60), (60, 60)]


@pytest.mark.parametrize(("source", "kind"), [("idx", "zarr"), ("npz", "hdf5"), ("h5", "hdf5")])
def test_memory_does_not_grow_with_the_number_of_examples(
    tmp_path: Path, source: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small blocks and chunks, so that few examples fill every buffer.
    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 1 << 17)
    monkeypatch.setattr("nnpipe.store.zarr.CHUNK_BYTES", 1 << 17)
    _, few, many = (peak(tmp_path / str(rows), rows, source, kind) for rows in (100, 5_000, 20_000))
    more = 15_000 * 28 * 28  # bytes of images
    assert many - few < more / 20
    assert many < more / 2


def peak(folder: Path, rows: int, source: str, kind: str) -> int:
    """Bytes in use at most while ``rows`` images are ingested, splits shuffled."""
    folder.mkdir()
    write(folder, rows, source)
    spec = (
        {"kind": "idx", "images": "X.gz", "labels": "y"}
        if source == "idx"
        else {"kind": "arrays", "path": f"data.{source}", "images": "X", "labels": "y"}
    )
    tracemalloc.start()
    try:
        ingested(folder, spec, format=kind, validation=0.1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def write(folder: Path, rows: int, source: str) -> None:
    X = np.broadcast_to(np.arange(28, dtype=np.uint8), (rows, 28, 28))
    y = (np.arange(rows) % 10).astype(np.uint8)
    if source == "idx":
        put_idx(folder / "X.gz", X)
        put_idx(folder / "y", y)
    elif source == "npz":
        np.savez(folder / "data.npz", X=X, y=y)
    else:
        with h5py.File(folder / "data.h5", "w") as file:
            file["X"], file["y"] = X, y


MNIST = Path(os.environ.get("NNPIPE_DATA", "nowhere"), "mnist", "train-images-idx3-ubyte.gz")


@pytest.mark.skipif(not MNIST.exists(), reason="NNPIPE_DATA does not hold mnist/train-images-idx3-ubyte.gz")
def test_mnist_has_the_numbers_that_everybody_knows(tmp_path: Path) -> None:
    summary = ingested(tmp_path, {"kind": "mnist"}).output.summary
    assert summary["examples"] == {"train": 60_000, "validation": 0, "test": 10_000}
    assert summary["class_counts"]["train"] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert summary["class_counts"]["test"] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The mean and deviation that every tutorial scales MNIST by.
    assert summary["statistics"]["mean"] / 255 == pytest.approx(0.1307, abs=5e-5)
    assert summary["statistics"]["std"] / 255 == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
def test_numbers_to_learn_are_kept_with_how_they_are_spread(tmp_path: Path, kind: str, X: np.ndarray) -> None:
    y = np.random.default_rng(1).normal([5, -3], [2, 0.5], (60, 2))
    work = ingested(tmp_path, put(tmp_path, X, y), format=kind, test=12)
    with closing(open_arrays(work.output.directory / f"data{SUFFIXES[kind]}")) as file:
        train, attributes = file.rows("y_train", 0, 48), file.attributes()
        rows = np.concatenate([train, file.rows("y_test", 0, 12)])
    assert (train.dtype, train.shape) == (np.float32, (48, 2))
    assert sorted(rows[:, 0].tolist()) == sorted(y[:, 0].astype(np.float32).tolist())
    assert (attributes["class_names"], attributes["target_names"]) == ([], ["y[0]", "y[1]"])
    spread = attributes["statistics"]["targets"]
    np.testing.assert_allclose(spread["feature_mean"], train.mean(0, dtype=np.float64))
    np.testing.assert_allclose(spread["feature_std"], train.std(0, dtype=np.float64))
    assert "class_counts" not in attributes["statistics"]
    assert work.output.summary["targets"] == spread
    assert work.output.summary["classes"] == 0


def test_targets_that_are_all_the_same_are_refused(tmp_path: Path, X: np.ndarray) -> None:
    with pytest.raises(DataError, match="all training examples have the same targets"):
        ingested(tmp_path, put(tmp_path, X, np.full(60, 0.5)))
