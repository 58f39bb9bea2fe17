"""Ingestion that was stopped or killed and goes on: the same artifact as if nobody had interrupted it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image

from nnpipe.errors import Interrupted, StoreError
from nnpipe.stages.ingest import Ingest, ingest
from nnpipe.stages.work import Silent, Work
from nnpipe.store import durable
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output

ROWS = 60
X = np.random.default_rng(0).integers(0, 256, (ROWS, 4, 5), dtype=np.uint8)
X[40:50] = 0  # whole chunks of zeros
Y = np.arange(ROWS) % 3


class Killed(BaseException):
    """The process ends here: nothing is tidied up but what Python's own exit does."""


class EndsAt(Silent):
    """Stops the work, or ends it as a kill does, when ``row`` examples were read."""

    def __init__(self, row: int, kill: bool) -> None:
        self.row, self.kill = row, kill
        self.first: int | None = None

    def advanced(self, stage: str, done: int, total: int, measures: Mapping[str, float]) -> None:
        self.first = self.first or done
        if done >= self.row and self.kill:
            raise Killed
        if done >= self.row:
            self.work.stopping.set()


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """So that few examples fill many blocks, and chunks of other sizes."""
    many = any(source in request.node.name for source in ("digits", "two classes", "rectangles", "convex"))
    chunk = 10_000 if many else 100
    monkeypatch.setattr("nnpipe.datasets.sources.source.BLOCK_BYTES", 7 * 20)
    monkeypatch.setattr("nnpipe.datasets.sources.digits.ROWS", 300)
    monkeypatch.setattr("nnpipe.datasets.sources.two_classes.ROWS", 100)
    monkeypatch.setattr("nnpipe.datasets.sources.drawn.ROWS", 30)
    monkeypatch.setattr("nnpipe.store.zarr.CHUNK_BYTES", chunk)
    monkeypatch.setattr("nnpipe.stages.ingest.TELL_EVERY", 0)


def put_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


def put_images(folder: Path) -> None:
    for number, (image, label) in enumerate(zip(X, Y, strict=True)):
        for split in ("train", "test"):
            (folder / split / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / split / str(label) / f"{number:02}.png")


def put_all(folder: Path) -> None:
    """One and the same data in all that ``SOURCES`` read."""
    np.savez(folder / "data.npz", X=X, y=Y)
    np.savez_compressed(folder / "packed.npz", X=X.astype(np.float32), y=Y)
    with h5py.File(folder / "data.h5", "w") as file:
        file["X"], file["y"] = X, Y
    group = zarr.open_group(folder / "data.zarr", mode="w")
    group.create_array("X", data=X)
    group.create_array("y", data=Y)
    put_idx(folder / "X.idx", X)
    put_idx(folder / "y.idx", Y.astype(np.uint8))
    put_images(folder / "images")


def arrays(path: str) -> dict[str, str]:
    return {"kind": "arrays", "path": path, "images": "X", "labels": "y"}


IDX = {"kind": "idx", "images": "X.idx", "labels": "y.idx"}
SOURCES: dict[str, dict[str, Any]] = {
    "npz": arrays("data.npz"),
    "packed npz": arrays("packed.npz"),
    "h5": arrays("data.h5"),
    "zarr": arrays("data.zarr"),
    "idx": IDX,
    "idx with test": {**IDX, "test_images": "X.idx", "test_labels": "y.idx"},
    "images": {"kind": "image_folder", "path": "images"},
    "digits": {"kind": "digits"},
    "two classes": {"kind": "two_classes", "samples": 1000},
    "rectangles": {"kind": "rectangles", "samples": 300, "test_samples": 100},
    "convex": {"kind": "convex", "samples": 300, "test_samples": 100},
}


class Attempts:
    """Attempts at one ingestion, which share checkpoints; each has an output of its own."""

    def __init__(self, folder: Path, source: Mapping[str, Any], kind: str = "hdf5", interval: float = 0.0) -> None:
        self.folder, self.interval, self.number = folder, interval, 0
        self.config = Ingest.model_validate({"source": source, "format": kind, "validation": 0.1})
        self.work_folder = folder / "work"

    def run(self, observer: Silent | None = None) -> Work:
        """One attempt; what it leaves in its output goes, as in the store, unless it ends well."""
        self.number += 1
        output = self.folder / f"output-{self.number}"
        output.mkdir()
        checkpoints = DiskCheckpoints(self.work_folder, self.interval)
        work = Work("ingest", {}, Output(output), 0, self.folder, checkpoints)
        if observer:
            observer.work = work  # type: ignore[attr-defined]
            work.observer = observer
        try:
            ingest(self.config, work)
        except BaseException:
            shutil.rmtree(output)
            raise
        return work

    def checkpoints(self) -> list[Path]:
        return sorted(self.work_folder.glob("checkpoint-*"))


def files(work: Work) -> dict[str, str]:
    """Every byte of an output, and what its manifest would say."""
    folder = work.output.directory
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {**found, "content": work.output.content()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    put_all(tmp_path)
    return tmp_path


def uninterrupted(folder: Path, source: Mapping[str, Any], kind: str) -> dict[str, str]:
    attempts = Attempts(folder, source, kind, interval=1000)
    attempts.work_folder = folder / "uninterrupted"
    attempts.number = 100
    return files(attempts.run())


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_goes_on_where_it_was_stopped(data: Path, source: str, kind: str) -> None:
    attempts = Attempts(data, SOURCES[source], kind, interval=1000)
    expected = uninterrupted(data, SOURCES[source], kind)
    total = 0
    for part in (0.0, 0.3, 0.6, 0.8):
        observer = EndsAt(int(part * total), kill=False)
        with pytest.raises(Interrupted, match="it can be resumed") as stopped:
            attempts.run(observer)
        total = int(str(stopped.value).split(" of ")[1].split()[0])
        assert len(attempts.checkpoints()) <= 2
    last = EndsAt(10**9, kill=False)
    assert files(attempts.run(last)) == expected
    assert last.first is not None
    assert last.first > 0.8 * total


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
def test_a_death_at_any_block_costs_no_byte(data: Path, kind: str) -> None:
    expected = uninterrupted(data, SOURCES["idx"], kind)
    for row in range(1, ROWS, 17):
        attempts = Attempts(data, SOURCES["idx"], kind)
        attempts.work_folder, attempts.number = data / f"work-{row}", 1000 * row
        with pytest.raises(Killed):
            attempts.run(EndsAt(row, kill=True))
        assert files(attempts.run()) == expected


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def flip_newest(attempts: Attempts) -> None:
    flip(attempts.checkpoints()[-1], 0.5)


def flip_all(attempts: Attempts) -> None:
    for path in attempts.checkpoints():
        flip(path, 0.5)


def flip_first_row(attempts: Attempts) -> None:
    place = attempts.work_folder / "scratch" / "data.h5"
    with h5py.File(place) as file:
        offset = file["X_train"].id.get_offset()
    flip(place, offset / (place.stat().st_size - 1))


def flip_layout(attempts: Attempts) -> None:
    flip(attempts.work_folder / "scratch" / "data.h5", 0.001)


def cut(attempts: Attempts) -> None:
    os.truncate(attempts.work_folder / "scratch" / "data.h5", 100)


def empty(attempts: Attempts) -> None:
    os.truncate(attempts.work_folder / "scratch" / "data.h5", 0)


def remove(attempts: Attempts) -> None:
    shutil.rmtree(attempts.work_folder / "scratch")


def spoil_rows_after_the_last_checkpoint(attempts: Attempts) -> None:
    """What the disk kept of rows that nobody had flushed: anything."""
    place = attempts.work_folder / "scratch" / "data.h5"
    with h5py.File(place, "r+") as file:
        file["X_train"][-5:] = 77


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        (spoil_rows_after_the_last_checkpoint, 42),
        (flip_newest, 35),
        (flip_all, 7),
        (flip_first_row, 7),
        (flip_layout, 7),
        (cut, 7),
        (empty, 7),
        (remove, 7),
    ],
)
def test_damage_costs_time_and_never_truth(data: Path, damage: Callable[[Attempts], None], first: int) -> None:
    """``first``: how many examples were read when the next attempt told of them for the first time."""
    expected = uninterrupted(data, SOURCES["idx"], "hdf5")
    attempts = Attempts(data, SOURCES["idx"])
    with pytest.raises(Killed):
        attempts.run(EndsAt(42, kill=True))
    assert len(attempts.checkpoints()) == 2
    damage(attempts)
    observer = EndsAt(10**9, kill=False)
    assert files(attempts.run(observer)) == expected
    assert observer.first == first


@pytest.mark.parametrize("name", ["c/0/0/0/0", "zarr.json"])
def test_damage_in_a_chunk_or_its_description_begins_anew(data: Path, name: str) -> None:
    expected = uninterrupted(data, SOURCES["idx"], "zarr")
    attempts = Attempts(data, SOURCES["idx"], "zarr")
    with pytest.raises(Killed):
        attempts.run(EndsAt(42, kill=True))
    flip(attempts.work_folder / "scratch" / "data.zarr" / "X_train" / name, 0.5)
    observer = EndsAt(10**9, kill=False)
    assert files(attempts.run(observer)) == expected
    assert observer.first == 7


def test_what_zarr_was_about_to_rename_when_it_died_is_not_kept(data: Path) -> None:
    expected = uninterrupted(data, SOURCES["idx"], "zarr")
    attempts = Attempts(data, SOURCES["idx"], "zarr")
    with pytest.raises(Killed):
        attempts.run(EndsAt(42, kill=True))
    (attempts.work_folder / "scratch" / "data.zarr" / "X_train" / "c" / "0" / "0.1234.partial").write_bytes(b"half")
    assert files(attempts.run()) == expected


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
def test_what_a_failing_flush_may_have_dropped_is_never_used(
    data: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of it once, and reading shows what memory has, not the disk: the file goes."""
    expected = uninterrupted(data, SOURCES["idx"], kind)
    attempts = Attempts(data, SOURCES["idx"], kind)
    with pytest.raises(Killed):
        attempts.run(EndsAt(21, kill=True))
    scratch = attempts.work_folder / "scratch"
    assert list(scratch.iterdir())

    def fail(descriptor: int) -> None:
        if "scratch" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", fail)
        with pytest.raises(StoreError, match="cannot write to the store"):
            attempts.run()
    assert list(scratch.iterdir()) == []
    observer = EndsAt(10**9, kill=False)
    assert files(attempts.run(observer)) == expected
    assert observer.first == 7


def test_a_quick_ingestion_keeps_no_checkpoint(data: Path) -> None:
    attempts = Attempts(data, SOURCES["idx"], interval=1000)
    attempts.run()
    assert attempts.checkpoints() == []


def test_a_death_while_attributes_are_written_begins_anew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written into the output, so that what is gone on with never has a part of them."""
    expected = uninterrupted(data, SOURCES["idx"], "hdf5")
    attempts = Attempts(data, SOURCES["idx"])

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("nnpipe.store.hdf5.Hdf5Arrays.set_attributes", die)
        with pytest.raises(Killed):
            attempts.run()
    assert files(attempts.run()) == expected
