"""What bounds the number of machines: one store, asked by several processes, and as it grows."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from benchmarks.growth_of_store import fill
from benchmarks.measure import Table, number, seconds
from benchmarks.prefect import SPEC
from nnpipe.cli import main as nnpipe
from nnpipe.store.store import Store


def store_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """Questions, hand-overs of one lock and commits a second, by the number of processes."""
    store = Store(folder / "store")
    fill(store, 100 if quick else 10_000)
    window, sizes = (0.3, (1, 2)) if quick else (3.0, (1, 2, 4, 8))
    works = {"find": _find, "lock hand-overs": _hand_over, "commits": _commit}
    cells = []
    for processes in sizes:
        rates = [_rate(work, store.root, processes, window) for work in works.values()]
        cells.append((str(processes), *map(number, rates)))
    yield Table(
        "One store on a local disk, each column a second, all processes together", ("processes", *works), tuple(cells)
    )


def _rate(work: Callable[[Store, int], object], root: Path, processes: int, window: float) -> float:
    """How often a second so many processes do ``work``, all together."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, _meet, (spawn.Barrier(processes),)) as pool:
        return sum(pool.map(partial(_repeat, work, root, window), range(processes))) / window


_barrier: Barrier


def _meet(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _repeat(work: Callable[[Store, int], object], root: Path, window: float, process: int) -> int:
    store = Store(root)
    work(store, process)  # imports
    _barrier.wait()
    end, done = time.monotonic() + window, 0
    while time.monotonic() < end:
        done += 1
        work(store, process + 1_000 * done)
    return done


def _find(store: Store, number_: int) -> None:
    from nnpipe.pipeline.recipe import recipe_key

    assert store.find(recipe_key({"stage": "ingest", "number": number_ % 100})) is not None


def _hand_over(store: Store, number_: int) -> None:
    with store.gate():
        pass


def _commit(store: Store, number_: int) -> None:
    key = hashlib.sha256(f"{os.getpid()} {number_}".encode()).hexdigest()
    with store.lock(key), store.output(key) as output:
        output.json("made", {"by": key})
        store.commit(output, key, "ingest", {"number": key}, {})


def growth_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """What looking costs by the number of artifacts, in a process that has looked before."""
    (folder / "small.yaml").write_text(SPEC)
    cells = []
    for artifacts in (10, 100) if quick else (1_000, 10_000, 30_000):
        store = folder / f"store{artifacts}"
        fill(Store(store), artifacts)
        words = (("plan", str(folder / "small.yaml")), ("ls",), ("gc", "--dry-run"))
        works: list[Callable[[], object]] = [partial(Store, store)]
        works += [partial(_silently, *verb, "--store", str(store)) for verb in words]
        times = [median(seconds(work) for _ in range(3)) for work in works]
        memo = (store / "memo.json").stat().st_size / 1e6
        cells.append((f"{artifacts:,}", f"{memo:.1f}", *map(number, times)))
    yield Table(
        "A store that grows, in seconds",
        ("artifacts", "memo.json, MB", "open", "plan", "ls", "gc --dry-run"),
        tuple(cells),
    )


def _silently(*words: str) -> None:
    with redirect_stdout(StringIO()):
        assert nnpipe(list(words)) == 0
