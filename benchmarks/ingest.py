"""Ingesting MNIST from gzipped IDX files, digests and flushing included, beside gunzip of the same files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT
from benchmarks.data import mnist_folder, write_mnist
from benchmarks.measure import Absent, Options, Result, Row, Target, Turn, figures, seconds, take_turns
from benchmarks.processes import turn
from nnpipe import api

ROUNDS = 9
GUNZIP = "gunzip"


def run(options: Options) -> Result:
    """HDF5 and zarr, each into a fresh store."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        there = None if options.quick else mnist_folder()
        data = there or write_mnist(folder / "data", 100 if options.quick else 1) / "mnist"
        os.environ["NNPIPE_DATA"] = str(data.parent)
        files = sorted(data.glob("*.gz"))
        if not files:
            raise Absent(f"gzipped files in {data}: gunzip has nothing to do with those there")
        words = ["sh", "-c", 'gzip -dc "$@" > /dev/null', "gzip", *map(str, files)]
        competitors: dict[str, Callable[[int], Turn]] = {GUNZIP: partial(turn, words, folder)}
        competitors |= {format_: _ingestion(format_, folder / format_) for format_ in ("hdf5", "zarr")}
        for work in competitors.values():
            work(-1)  # imports are not counted
        turns = take_turns(competitors, options.rounds_or(ROUNDS))
        size = sum(path.stat().st_size for path in files) / 1e6
    rows = tuple(
        Row(
            f"ingest MNIST into {format_}",
            "gzip -dc",
            "s",
            figures(turns[format_]),
            figures(turns[GUNZIP]),
            Target("times as long", 2),
        )
        for format_ in ("hdf5", "zarr")
    )
    about = "MNIST's files" if there else "digits in files like MNIST's"
    return Result(
        f"{about}, {size:.1f} MB gzipped. nnpipe plans (hashing the files), reads, checks, measures, writes, hashes "
        "and flushes to disk, in a process that has imported what it needs; gzip is a process a time.",
        rows,
    )


def _ingestion(format_: str, store: Path) -> Callable[[int], Turn]:
    def carry_out(_: int) -> Turn:
        shutil.rmtree(store, ignore_errors=True)
        took = seconds(
            lambda: api.run(
                ROOT / "specs" / "mnist_convnet.yaml",
                set={"data.format": format_},
                store=store,
                until="ingest",
                engine="local",
                device="cpu",
            )
        )
        return Turn(took)

    return carry_out
