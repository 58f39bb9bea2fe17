"""A Prefect server that lasts as long as a schedule is served: on loopback, with its database in the store.

Everything of it lies in ``STORE/prefect``, which is Prefect's home meanwhile: the user's own is not touched. It is
started again when it dies. The socket that it listens on is kept open here, so that requests wait for the new one
instead of failing. Its port stays the same from one schedule to the next: a run that outlives whoever started it still
finds a server there.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from flows.server_process import SHUTDOWN_SECONDS, STARTUP_SECONDS, ServerAwayError, spawn, stop
from nnpipe.errors import Interrupted, NnpipeError, UsageError
from nnpipe.store.durable import make_directory, write_file

if TYPE_CHECKING:
    from nnpipe.pipeline.event_log import EventLog
    from nnpipe.store.store import Store

DEATHS, WITHIN = 5, 600.0  # so many deaths in so many seconds, and it is not started again
PAUSE = 1.0  # seconds before it is started after its second death; twice as long and one more after each further one
LOG_BYTES = 1_000_000  # of what the server writes, and as many of what it wrote before
MONTH = 30 * 24 * 3600
LOCK = "prefect-server"


def home(store: Store) -> Path:
    """Where the server of a store keeps everything."""
    return (store.root / "prefect").resolve()


def address(store: Store) -> str | None:
    """Where the server of a store is, or was when it ran last: the URL of its API."""
    path = home(store) / "port"
    return f"http://127.0.0.1:{path.read_text().strip()}/api" if path.exists() else None


@contextmanager
def using(url: str, store: Store | None = None) -> Iterator[None]:
    """Within it, and for the processes that it starts, Prefect's API is at ``url``; its home in ``store``, if given."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    # A server on loopback is there or is dead, and this process has something else to do than to try again.
    chosen = {PREFECT_API_URL: url} | ({PREFECT_HOME: home(store)} if store else {})
    names = {setting.name: str(value) for setting, value in chosen.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        with temporary_settings(chosen):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class LocalServer:
    """The server of a store, from ``start`` to ``stop``, or until ``lost`` is set: it died too often.

    port: where it listens; 0 takes the one that it had last, if that is free, or else any.
    lasting: whether it makes the runs of schedules, and has a UI; without, it only answers.

    Raises:
        UsageError: the port is taken.
    """

    def __init__(self, store: Store, log: EventLog, *, port: int = 0, lasting: bool = True) -> None:
        self._home, self._log, self._lasting = home(store), log, lasting
        make_directory(self._home)
        self._listener = _listening(port, remembered=self._home / "port")
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self.ui = self.url.removesuffix("/api")
        self.lost, self._answered, self._stopping = Event(), Event(), Event()
        self._changing = Lock()  # held while it is decided whether there is a process
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._said = RotatingFileHandler(self._home / "server.log", maxBytes=LOG_BYTES, backupCount=1)
        self._process = self._spawned()
        self._keeper = Thread(target=self._keep, name="keeps Prefect's server", daemon=True)

    def start(self, stopping: Event) -> None:
        """Return when it answers.

        Raises:
            Interrupted: ``stopping`` was set meanwhile.
            ServerAwayError: it ended, or did not answer in time; its log tells why.
        """
        self._keeper.start()
        deadline = time.monotonic() + STARTUP_SECONDS
        while not answers(self.url):
            if stopping.is_set():
                raise Interrupted("stopped while Prefect's server started")
            if not self._keeper.is_alive() or time.monotonic() > deadline:
                log = Path(self._said.baseFilename)
                found = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
                raise ServerAwayError("Prefect's server did not start", where=str(log), found=found)
        self._answered.set()
        write_file(self._home / "port", f"{self._listener.getsockname()[1]}\n".encode())

    def stop(self) -> None:
        """End it, for good."""
        with self._changing:
            self._stopping.set()
        stop(self._process)
        self._keeper.join()
        self._listener.close()
        self._said.close()

    def _spawned(self) -> subprocess.Popen[bytes]:
        return spawn(
            self._listener,
            subprocess.PIPE,
            "lasting" if self._lasting else "ephemeral",
            PREFECT_HOME=str(self._home),
            PREFECT_API_URL=self.url,
            PREFECT_UI_ENABLED=str(self._lasting).lower(),
            PREFECT_SERVER_UI_STATIC_DIRECTORY=str(self._home / "ui"),
            # Old runs go by themselves, as events do.
            PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="events,flow_runs",
            PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=str(MONTH),
        )

    def _keep(self) -> None:
        """Write down what the server says; when it dies, start another."""
        while True:
            with self._process as process:
                assert process.stdout is not None
                for line in process.stdout:
                    self._said.emit(logging.makeLogRecord({"msg": line.decode(errors="replace").rstrip()}))
            status = process.returncode
            if self._stopping.is_set() or not self._answered.is_set():
                return
            if self._died_too_often(status):
                self.lost.set()
                self._listener.close()  # who asks is refused
                return
            self._stopping.wait(PAUSE * (2 ** (len(self._deaths) - 1) - 1))
            with self._changing:
                if self._stopping.is_set():
                    return
                self._process = self._spawned()

    def _died_too_often(self, status: int) -> bool:
        self._deaths.append(time.monotonic())
        often = len(self._deaths) == DEATHS and self._deaths[-1] - self._deaths[0] < WITHIN
        told = f"for the {DEATHS}th time: it is not started again" if often else "and is started again"
        self._log.write("server", f"Prefect's server died (status {status}) {told}", level="error")
        return often


@contextmanager
def started(server: LocalServer, stopping: Event) -> Iterator[LocalServer]:
    """Within it a server answers."""
    try:
        server.start(stopping)
        yield server
    finally:
        server.stop()


@contextmanager
def succeeding(store: Store, log: EventLog) -> Iterator[Event]:
    """Within it the server that another process keeps does not end with that one: it is started again here.

    Yields an event that is set when the server is lost: it died too often here, or could not be started.
    """
    lost, ending = Event(), Event()

    def succeed() -> None:
        while not ending.wait(0.5):
            if not store.busy(LOCK):
                with store.claim(LOCK, f"process {os.getpid()}") as other:
                    if other is None:
                        keep()
                        return

    def keep() -> None:
        log.write("server", "whoever kept Prefect's server ended: it is started again here", level="warning")
        try:
            # At the same port, as this process and the runs that it began know no other.
            server = LocalServer(store, log, port=int((home(store) / "port").read_text()))
            with started(server, ending):
                while not ending.wait(0.5) and not server.lost.is_set():
                    ...
        except Interrupted:
            return
        except NnpipeError as error:
            log.write("error", str(error), level="error")
        if not ending.is_set():
            lost.set()

    successor = Thread(target=succeed, name="succeeds who keeps Prefect's server", daemon=True)
    successor.start()
    try:
        yield lost
    finally:
        ending.set()
        successor.join()


def answers(url: str) -> bool:
    """Whether a server does."""
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _listening(port: int, remembered: Path) -> socket.socket:
    """A socket at ``port``; without one, at that of the last time, or if it is taken, anywhere."""
    wanted = port or (int(remembered.read_text()) if remembered.exists() else 0)
    deadline = time.monotonic() + SHUTDOWN_SECONDS  # a server whose owner was killed may still be ending there
    while True:
        try:
            return socket.create_server(("127.0.0.1", wanted), backlog=1024)
        except OSError as error:
            if time.monotonic() > deadline:
                if not port:
                    return socket.create_server(("127.0.0.1", 0), backlog=1024)
                where, hint = f"127.0.0.1:{port}", "without --port a free one is taken"
                raise UsageError("cannot listen there", where=where, found=error.strerror, hint=hint) from error
            time.sleep(0.2)
