"""What bounds the number of machines: Dask's scheduler and Prefect's server, with tasks that do nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Table, number, seconds

SETTLE = 5.0  # seconds in which Prefect's server writes down what it was told


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
