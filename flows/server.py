"""Prefect's API for the time of a run: the user's server, or else a temporary one that cannot outlive the run.

The temporary server keeps its database where every Prefect server of this user does, so that `prefect server start`
shows its runs later. It is started here rather than by Prefect, which would start one as well, as it is better started
before Prefect is imported, and because of what ``flows.server_process`` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from threading import Thread

from flows.server_process import SHUTDOWN_SECONDS, WITHOUT, ServerAwayError, TemporaryServer


@contextmanager
def prefect_api(
    meanwhile: Callable[[], object] = lambda: None, server: TemporaryServer | None = None
) -> Iterator[None]:
    """Within it Prefect's API answers: the server of ``PREFECT_API_URL``, or else a temporary one.

    meanwhile: called while the temporary server starts.
    server: a temporary one that was started early; it ends here.

    Raises:
        ServerAwayError: the server does not answer, or does not start.
    """
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    if PREFECT_API_URL.value():
        if server:
            server.stop(unused=True)
        check_server()
        meanwhile()
        # It may die meanwhile: what is computed is recorded by the store, and nobody waits for minutes to tell it.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 2}):
            try:
                yield
            finally:
                deliver(0.0 if _silence() else SHUTDOWN_SECONDS)
        return
    server = server or TemporaryServer()
    try:
        meanwhile()
        server.answered()
        # A server on loopback is there or is dead: five retries would hold a run up for minutes. It ends with this
        # process, which has no use for heartbeats, and would wait for their thread.
        own = {PREFECT_API_URL: server.url, PREFECT_CLIENT_MAX_RETRIES: 2, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with temporary_settings(own):
            try:
                yield
            finally:
                deliver()
    finally:
        server.stop()


def check_server() -> None:
    """Refuse a ``PREFECT_API_URL`` at which nobody answers."""
    from prefect.settings import PREFECT_API_URL

    error = _silence()
    if error is not None:
        raise ServerAwayError(
            "the Prefect server does not answer",
            where=f"PREFECT_API_URL={PREFECT_API_URL.value()}",
            found=str(error) or type(error).__name__,
            hint=f"start it with `prefect server start`, or unset PREFECT_API_URL; {WITHOUT}",
        ) from error


def _silence() -> Exception | None:
    """Why the server of ``PREFECT_API_URL`` does not answer; None if it does."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": 10.0}, sync_client=True) as client,
    ):
        return client.api_healthcheck()


def deliver(seconds: float = SHUTDOWN_SECONDS) -> None:
    """Wait until what Prefect sends in the background, the states of tasks among it, has been sent.

    What could not be sent in so many seconds is dropped: at the interpreter's end Prefect would try for minutes.
    """
    from prefect._internal.concurrency.services import _active_services
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    def drain() -> None:
        APILogWorker.drain_all(timeout=seconds)
        EventsWorker.drain_all(timeout=seconds)
        stopped = [service for service in _active_services if service._stopped]
        ends = [service._done_event for service in stopped if service._done_event]
        for service in stopped:
            with suppress(Empty):
                while True:
                    service._queue.get_nowait()
            service._queue.put_nowait(None)  # its end
        deadline = time.monotonic() + SHUTDOWN_SECONDS  # what is being sent is not dropped
        while not all(end.is_set() for end in ends) and time.monotonic() < deadline:
            time.sleep(0.05)

    # In a thread of its own, because in one with an event loop (a notebook) these only return a coroutine.
    thread = Thread(target=drain, name="deliver to Prefect")
    thread.start()
    thread.join()
