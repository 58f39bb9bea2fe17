"""The server of a store: started again when it dies, at the same place. A few lines stand in for Prefect's own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from threading import Event

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from flows import local_server
from flows.local_server import LOCK, LocalServer, address, answers, home, succeeding, using
from flows.server_process import ServerAwayError
from nnpipe.errors import Interrupted, UsageError
from nnpipe.pipeline.event_log import EventLog
from nnpipe.store.store import Store

SERVER = """
import os, socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

server = HTTPServer(("127.0.0.1", 0), Answers, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
print("started with", sys.argv[2], os.environ["PREFECT_HOME"], flush=True)
Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    monkeypatch.setattr("flows.server_process.__file__", str(path))
    monkeypatch.setattr(local_server, "PAUSE", 0.0)
    monkeypatch.setattr(local_server, "SHUTDOWN_SECONDS", 0.0)
    return path


@pytest.fixture
def said() -> StringIO:
    return StringIO()


@pytest.fixture
def server(store: Store, script: Path, said: StringIO) -> Iterator[LocalServer]:
    made = LocalServer(store, EventLog(said))
    made.start(Event())
    yield made
    made.stop()


def process(server: LocalServer) -> int:
    """The process that answers; whoever asks while there is none waits for the next one."""
    return int(httpx.get(server.url, timeout=30, trust_env=False).text)


def until(so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_dies_is_started_again_where_it_was(server: LocalServer, said: StringIO) -> None:
    first = process(server)
    os.kill(first, signal.SIGKILL)
    until(lambda: process(server) != first)
    assert not server.lost.is_set()
    assert "Prefect's server died (status -9) and is started again" in said.getvalue()


def test_one_that_dies_again_and_again_is_given_up(server: LocalServer, said: StringIO) -> None:
    for deaths in range(1, local_server.DEATHS + 1):
        os.kill(process(server), signal.SIGKILL)
        until(lambda deaths=deaths: said.getvalue().count("died") == deaths)
    until(server.lost.is_set)
    assert "for the 5th time: it is not started again" in said.getvalue()
    with pytest.raises(httpx.ConnectError):
        process(server)


def test_what_it_says_is_kept_in_the_store(server: LocalServer, store: Store) -> None:
    until(lambda: (home(store) / "server.log").read_text())
    assert (home(store) / "server.log").read_text() == f"started with lasting {home(store)}\n"


def test_one_that_does_not_start_tells_its_last_words(store: Store, script: Path, said: StringIO) -> None:
    script.write_text("raise SystemExit('the database is upside down')")
    server = LocalServer(store, EventLog(said))
    with pytest.raises(ServerAwayError, match="did not start") as caught:
        server.start(Event())
    server.stop()
    assert caught.value.found == "the database is upside down"
    assert said.getvalue() == ""


def test_asking_to_stop_ends_the_wait_for_it(store: Store, script: Path, said: StringIO) -> None:
    script.write_text("import sys; sys.stdin.read()")
    stopping = Event()
    stopping.set()
    server = LocalServer(store, EventLog(said))
    with pytest.raises(Interrupted):
        server.start(stopping)
    server.stop()


def test_its_port_is_remembered_and_another_is_taken_only_if_it_must_be(
    store: Store, script: Path, said: StringIO
) -> None:
    def started(port: int = 0) -> str:
        server = LocalServer(store, EventLog(said), port=port)
        server.start(Event())
        server.stop()
        return server.url

    assert address(store) is None
    first = started()
    assert started() == address(store) == first
    assert not answers(first)
    port = int(first.split(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        assert started() != first
        with pytest.raises(UsageError, match="cannot listen there"):
            started(port)


def test_one_that_ends_with_whoever_kept_it_is_started_by_another_that_uses_it(
    store: Store, script: Path, said: StringIO
) -> None:
    first = LocalServer(store, EventLog(StringIO()))
    first.start(Event())
    with succeeding(Store(store.root), EventLog(said)) as lost:
        with store.claim(LOCK, "process 1"):
            time.sleep(1.0)
            assert said.getvalue() == ""
            first.stop()
        until(lambda: answers(first.url))
        assert store.busy(LOCK)
        assert not lost.is_set()
    assert not answers(first.url)
    assert not store.busy(LOCK)
    assert said.getvalue().count("it is started again here") == 1


def test_one_that_cannot_be_started_again_is_lost(store: Store, script: Path, said: StringIO) -> None:
    first = LocalServer(store, EventLog(said))
    first.start(Event())
    script.write_text("raise SystemExit('the database is upside down')")
    with store.claim(LOCK, "process 1"):
        first.stop()
    with succeeding(store, EventLog(said)) as lost:
        assert lost.wait(30)
    assert "the database is upside down" in said.getvalue()


def test_within_using_it_this_process_and_its_children_know_where_it_is(store: Store) -> None:
    before = os.environ.get("PREFECT_API_URL"), PREFECT_API_URL.value()
    with using("http://127.0.0.1:9/api", store):
        assert (os.environ["PREFECT_API_URL"], PREFECT_API_URL.value()) == ("http://127.0.0.1:9/api",) * 2
        assert (os.environ["PREFECT_HOME"], PREFECT_HOME.value()) == (str(home(store)), home(store))
    assert (os.environ.get("PREFECT_API_URL"), PREFECT_API_URL.value()) == before
