"""What ``nnpipe schedule`` does: which server, which deployment, and who carries out its runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.settings import PREFECT_API_URL

from flows.deployment import describe, register
from flows.local_server import LOCK, LocalServer, address, answers, home, started, succeeding, using
from flows.metrics import Metrics, answering
from flows.server import check_server
from flows.server_process import STARTUP_SECONDS, ServerAwayError
from flows.serving import Serving
from flows.train import quiet_terminal
from nnpipe.errors import Interrupted, NnpipeError, UsageError
from nnpipe.pipeline.event_log import LOG_FORMAT
from nnpipe.pipeline.signals import stopped_by_signals

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

    from nnpipe.pipeline.event_log import EventLog
    from nnpipe.store.store import Store

OFTEN, SELDOM = 1.0, 5.0  # seconds between two looks at what is due


@dataclass(frozen=True)
class Options:
    """How a schedule is served.

    port: of the server that is started where there is none.
    metrics: host and port of what is told to Prometheus; no port: nothing is.
    keep_runs: how many records of runs of the spec stay in the store.
    """

    port: int = 0
    metrics: tuple[str, int | None] = ("127.0.0.1", None)
    keep_runs: int = 1000


def serve(made: RunnerDeployment, spec: str, store: Store, log: EventLog, options: Options) -> None:
    """Register a deployment and carry out its runs, until interrupted.

    Raises:
        Interrupted: somebody asked to stop; the run under way kept a checkpoint.
        NnpipeError: the server does not answer, or died too often.
        UsageError: the schedule is served already, or a port is taken.
    """
    store.prepare()
    stopping = Event()
    os.environ[LOG_FORMAT] = log.format  # of the processes of runs
    host, port = options.metrics
    with quiet_terminal(), stopped_by_signals(stopping), _server(store, log, options.port, stopping) as lost:
        deployment = _registered(made, log)
        metrics = Metrics(spec, store)
        with answering(metrics, port, host) as where:
            if where:
                log.write("metrics", f"numbers at {where}/metrics, health at {where}/health", url=where)
            look = OFTEN if lost else SELDOM
            serving = Serving(deployment, spec, store, log, metrics, look=look, keep_runs=options.keep_runs)
            serving.serve(stopping, lost)
    if stopping.is_set():
        raise Interrupted("interrupted")
    if lost and lost.is_set():
        raise NnpipeError("Prefect's server is lost", where=str(home(store) / "server.log"))


def hand_over(made: RunnerDeployment, log: EventLog) -> None:
    """Register a deployment whose runs the workers of its work pool carry out.

    Raises:
        NnpipeError: the server does not answer, or has no such work pool.
        UsageError: there is no ``PREFECT_API_URL``.
    """
    if not PREFECT_API_URL.value():
        hint = "export PREFECT_API_URL=http://HOST:4200/api"
        raise UsageError("workers need a server that both can reach", expected="its address", hint=hint)
    check_server()
    _registered(made, log)


@contextmanager
def api(store: Store, log: EventLog) -> Iterator[bool]:
    """Within it Prefect answers for a moment: the user's server, that of the store, or one that is started for it.

    Yields whether there is anything to ask: a store that never had a server has no schedules.
    """
    with quiet_terminal():
        yield from _asked(store, log)


def _asked(store: Store, log: EventLog) -> Iterator[bool]:
    if PREFECT_API_URL.value():
        check_server()
        yield True
        return
    if not address(store):
        yield False
        return
    with store.claim(LOCK, f"process {os.getpid()}") as other:
        if other:
            with using(_joined(store, Event())):
                yield True
        else:
            with started(LocalServer(store, log, lasting=False), Event()) as server, using(server.url, store):
                yield True


@contextmanager
def _server(store: Store, log: EventLog, port: int, stopping: Event) -> Iterator[Event | None]:
    """Within it Prefect answers; yields an event that is set when the server is lost, None for a user's own server."""
    if PREFECT_API_URL.value():
        check_server()
        log.write("server", f"Prefect's server is {PREFECT_API_URL.value()}", url=PREFECT_API_URL.value())
        yield None
        return
    with store.claim(LOCK, f"process {os.getpid()}") as other:
        if other:
            url = _joined(store, stopping)
            log.write("server", f"Prefect's server is {url}, which {other} keeps", url=url)
            with using(url, store), succeeding(store, log) as lost:
                yield lost
            return
        log.write("server", f"Prefect's server is being started, with its database in {home(store)}")
        with started(LocalServer(store, log, port=port), stopping) as server, using(server.url, store):
            log.write("server", f"Prefect's server is started: its UI is at {server.ui}", url=server.ui)
            yield server.lost


def _joined(store: Store, stopping: Event) -> str:
    """The URL of the server that another process starts, or has started."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while not stopping.wait(0.1) and time.monotonic() < deadline:
        url = address(store)
        if url and answers(url):
            return url
    raise ServerAwayError("the Prefect server that another process keeps does not answer", where=str(home(store)))


def _registered(made: RunnerDeployment, log: EventLog) -> UUID:
    deployment, new = register(made)
    times = ", ".join(describe(each.schedule) for each in made.schedules or [])
    log.write("schedule", f"{made.full_name} runs {times}; {'made or updated' if new else 'as it was'}")
    return deployment
