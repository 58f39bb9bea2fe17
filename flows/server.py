"""Prefect's API for the time of a run: the user's server, or else a temporary one that cannot outlive the run.

The temporary server keeps its database where every Prefect server of this user does, so that `prefect server start`
shows its runs later. It is started here rather than by Prefect, which would start one as well, for three
reasons: this process need not import the server's code, and does something useful meanwhile; Ctrl-C does not reach
it, so that a run can still tell it how it ended; and it ends with this process, however this process ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Literal

from nnpipe.errors import NnpipeError

# The first start for a user makes the database: 13 s on two idle cores.
STARTUP_SECONDS = 180.0
SHUTDOWN_SECONDS = 15.0
WITHOUT = "--engine local does without Prefect"


class ServerAwayError(NnpipeError):
    """Prefect's server does not answer, or does not start. Nothing was begun."""


@contextmanager
def prefect_api(meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Within it Prefect's API answers: the server of ``PREFECT_API_URL``, or else a temporary one.

    meanwhile: called while the temporary server starts.

    Raises:
        ServerAwayError: the server does not answer, or does not start.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    if PREFECT_API_URL.value():
        check_server()
        meanwhile()
        # It may die meanwhile: what is computed is recorded by the store, and nobody waits for minutes to tell it.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 2}):
            try:
                yield
            finally:
                deliver(0.0 if _silence() else SHUTDOWN_SECONDS)
        return
    with _temporary_server() as (url, answers):
        meanwhile()
        answers()
        # A server on loopback is there or is dead: five retries would hold a run up for minutes.
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 2}):
            try:
                yield
            finally:
                deliver()


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


@contextmanager
def _temporary_server() -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a server; yields its URL and a function that waits until it answers."""
    with TemporaryFile() as said, socket.create_server(("127.0.0.1", 0)) as listener:
        # Requests wait in the listener's queue until the server accepts them: no port is raced for, nothing is polled.
        process = spawn(listener, said, "ephemeral", PREFECT_UI_ENABLED="false")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        listener.close()  # now the death of the server refuses connections
        try:
            yield url, lambda: _wait_for(url, said)
        finally:
            stop(process)


def spawn(
    listener: socket.socket, said: IO[bytes] | int, kind: Literal["ephemeral", "lasting"], **environment: str
) -> subprocess.Popen[bytes]:
    """Start a server that accepts connections from ``listener``; it ends with its input, and so with this process.

    said: where it writes, a file or as ``subprocess`` has it.
    kind: a lasting one also makes runs of schedules, and marks those that are late.
    environment: settings of Prefect beside those of this process.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return subprocess.Popen(
        [sys.executable, "-P", __file__, str(listener.fileno()), kind],
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        env={**os.environ, **settings, **environment},
    )


def _wait_for(url: str, said: IO[bytes]) -> None:
    import httpx

    try:
        httpx.get(f"{url}/health", timeout=STARTUP_SECONDS, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        said.seek(0)
        last_words = said.read().decode(errors="replace").strip().splitlines()[-1:]
        raise ServerAwayError(
            "Prefect's temporary server did not start",
            found=" ".join(last_words) or str(error),
            hint=f"`prefect server start` shows why; {WITHOUT}",
        ) from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server: it closes its database, or is killed where that takes too long."""
    assert process.stdin is not None
    process.stdin.close()  # the server ends with its input
    try:
        process.wait(SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


def _serve(listener: socket.socket, *, ephemeral: bool) -> bool:
    """Be a server, until standard input ends; whether it ever answered."""
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=ephemeral, final=True)
    config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True
        time.sleep(SHUTDOWN_SECONDS)
        os._exit(1)  # whoever would kill it by now may be dead itself

    Thread(target=end_with_input, daemon=True).start()
    server.run([listener])
    return server.started


if __name__ == "__main__":
    answered = _serve(socket.socket(fileno=int(sys.argv[1])), ephemeral=sys.argv[2] == "ephemeral")
    sys.stderr.flush()
    # Everything is closed by now; taking the interpreter apart would cost the run another second or two.
    os._exit(0 if answered else 1)
