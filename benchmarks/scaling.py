"""What bounds the number of machines: the store, Dask's scheduler and Prefect's server, each on this machine.

    python -m benchmarks.scaling [--quick] [--only store,growth,dask,prefect,simulated]

Prints tables, as docs/scaling.md has them, and takes about five minutes. Nothing of this user's Prefect is touched.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.growth_of_store import fill
from benchmarks.measure import Table, number, seconds
from benchmarks.prefect import SPEC
from benchmarks.queues import Costs, simulate
from nnpipe.cli import main as nnpipe
from nnpipe.store.store import Store

GATE = {"local disk": 0.02, "file server": 0.1}  # seconds a stage: the one measured here, the other supposed
DRIVER, PREFECT = 0.04, 0.04  # seconds a stage, measured here
SETTLE = 5.0  # seconds in which Prefect's server writes down what it was told


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    known: dict[str, Callable[[Path, bool], Iterator[Table]]] = {
        "store": store_tables,
        "growth": growth_tables,
        "dask": dask_tables,
        "prefect": prefect_tables,
        "simulated": simulated_tables,
    }
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs")
    given = parser.parse_args(words)
    for name in given.only.split(",") if given.only else known:
        with TemporaryDirectory() as scratch:
            for table in known[name](Path(scratch), given.quick):
                print(
                    f"### {table.title}\n",
                    *map(_line, (table.columns, ["---"] * len(table.columns), *table.cells)),
                    sep="\n",
                )
                print(f"\nLoad of the last minute: {os.getloadavg()[0]:.1f}\n", flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# -- the store, asked by several processes -------------------------------------------------------------------


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


# -- the store, as it grows ----------------------------------------------------------------------------------


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


# -- Dask and Prefect ----------------------------------------------------------------------------------------


def nothing(number_: int) -> int:
    """A task that does nothing."""
    return number_


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    """A Prefect server with a data base of its own, in a file, as users have it."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_HOME,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )

    from flows.server import prefect_api
    from flows.train import quiet_terminal

    url = f"sqlite+aiosqlite:///{folder / 'prefect.db'}"
    own = {PREFECT_HOME: folder, PREFECT_SERVER_DATABASE_CONNECTION_URL: url}
    with temporary_settings(own, restore_defaults={PREFECT_API_URL}), quiet_terminal(), prefect_api():
        yield


def dask_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """What a task costs that does nothing: Dask alone, Dask with workers that are threads, Prefect on Dask."""
    from distributed import Client, LocalCluster
    from prefect_dask.task_runners import DaskTaskRunner

    from flows.cluster import local_cluster

    tasks = 20 if quick else 1_000
    cells, spent = [], {}
    with local_cluster(2) as address, Client(address, set_as_default=False) as client:
        cells.append(("Dask, 2 processes", str(tasks), *_told(tasks, partial(_submit, client, tasks))))
        few = 5 if quick else 100
        with _server(folder):
            through = partial(_flow, DaskTaskRunner(address=address))
            cells.append(("Prefect on Dask, 2 processes", str(few), *_told(few, partial(through, few))))
            before = _spent(client)
            through(few)
            time.sleep(SETTLE)
            spent = {who: 1000 * (after - before[who]) / few for who, after in _spent(client).items()}
    for workers in (2,) if quick else (16, 64):
        with (
            LocalCluster(workers, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            cells.append(
                (f"Dask, {workers} workers in one process", str(tasks), *_told(tasks, partial(_submit, client, tasks)))
            )
    yield Table("A task that does nothing", ("on", "tasks", "ms a task", "tasks a second"), tuple(cells))
    told = tuple((who, number(each)) for who, each in spent.items())
    yield Table("Processor time of a task through Prefect on Dask", ("of", "ms"), told)


def _spent(client: Any) -> dict[str, float]:
    """Processor seconds so far: of this process with Dask's scheduler in it, of the workers, of Prefect's server."""
    import psutil

    workers = set(client.run(os.getpid).values())
    spent = {"driver and scheduler": sum(os.times()[:2]), "workers": 0.0, "Prefect's server": 0.0}
    for process in psutil.Process().children(recursive=True):
        spent["workers" if process.pid in workers else "Prefect's server"] += sum(process.cpu_times()[:2])
    return spent


def _told(tasks: int, work: Callable[[], object]) -> tuple[str, str]:
    work()  # connections, imports
    took = seconds(work)
    return number(1000 * took / tasks), number(tasks / took)


def _submit(client: Any, tasks: int) -> None:
    client.gather([client.submit(nothing, number_, pure=False) for number_ in range(tasks)])


def _flow(runner: Any, tasks: int) -> None:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.futures import wait

    named = task(cache_policy=NO_CACHE, persist_result=False)(nothing)
    flow(name="nothing", task_runner=runner, persist_result=False)(_many)(named, tasks, wait)


def _many(named: Any, tasks: int, wait: Any) -> None:
    wait([named.submit(number_) for number_ in range(tasks)])


def prefect_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """What Prefect's server records in a second: runs of a flow, and of tasks until the last is in its data base."""
    from prefect.task_runners import ThreadPoolTaskRunner

    flows, tasks = (3, 10) if quick else (20, 200)
    with _server(folder):
        through = partial(_flow, ThreadPoolTaskRunner(max_workers=4))
        through(1)
        first = flows / seconds(lambda: [through(0) for _ in range(flows)])
        known = _task_runs()
        began = time.perf_counter()
        through(tasks)
        carried_out = tasks / (time.perf_counter() - began)
        while _task_runs() < known + tasks:
            time.sleep(0.05)
        recorded = tasks / (time.perf_counter() - began)
    cells = (
        ("flow runs", str(flows), number(first)),
        ("task runs carried out", str(tasks), number(carried_out)),
        ("task runs recorded as completed", str(tasks), number(recorded)),
    )
    yield Table("Prefect's server with SQLite, asked by one process", ("what", "number", "a second"), cells)


def _task_runs() -> int:
    from prefect import get_client
    from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterState, TaskRunFilterStateType
    from prefect.client.schemas.objects import StateType

    completed = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.COMPLETED])))
    with get_client(sync_client=True) as client:
        return int(
            client._client.post("/task_runs/count", json={"task_runs": completed.model_dump(mode="json")}).json()
        )


# -- many workers --------------------------------------------------------------------------------------------


def simulated_tables(folder: Path, quick: bool) -> Iterator[Table]:
    """How busy workers are, and those whom they share."""
    columns = ("gate on", "stage, s", "workers", "stages a second", "workers busy", "gate", "driver", "Prefect")
    cells = []
    for place, gate in GATE.items():
        for stage in (10.0, 60.0, 600.0):
            for workers in (10, 100, 1_000):
                found = simulate(workers, stage, Costs(gate, DRIVER, PREFECT), rounds=3 if quick else 30)
                shares = (found.busy, found.gate, found.driver, found.prefect)
                told = (f"{share:.0%}" for share in shares)
                cells.append((place, f"{stage:g}", f"{workers:,}", number(found.stages), *told))
    yield Table("Many workers, simulated", columns, tuple(cells))


if __name__ == "__main__":
    main()
