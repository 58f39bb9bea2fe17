"""The temporary server: it is Prefect's, and its failure to start is told in its own words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server import prefect_api
from flows.server_process import TemporaryServer
from nnpipe.errors import NnpipeError


def test_the_temporary_server_is_on_loopback_and_answers(prefect_server: str) -> None:
    assert prefect_server.startswith("http://127.0.0.1:")
    assert httpx.get(f"{prefect_server}/health", trust_env=False).json() is True


def test_a_server_that_there_is_is_used(prefect_server: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server}), prefect_api():
        assert PREFECT_API_URL.value() == prefect_server


def test_a_temporary_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "server.py"
    script.write_text("raise SystemExit('the database is upside down')")
    monkeypatch.setattr("flows.server_process.__file__", str(script))
    done: list[str] = []
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(NnpipeError, match="did not start") as caught,
        prefect_api(meanwhile=lambda: done.append("meanwhile")),
    ):
        pass
    assert done == ["meanwhile"]
    assert caught.value.found == "the database is upside down"
    assert "--engine local" in str(caught.value)


def test_importing_the_flows_switches_calls_home_off_but_keeps_what_the_user_set() -> None:
    program = "import os, flows; print([os.environ.get(name) for name in {names}])".format(
        names=["DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "NO_PROXY", "no_proxy"]
    )
    given = {"PREFECT_SERVER_ANALYTICS_ENABLED": "true", "NO_PROXY": "intranet"}
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DO_NOT_TRACK", "no_proxy")
    } | given
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['1', 'true', 'intranet,127.0.0.1', None]"


EARLY = """
import sys
from flows.server_process import TemporaryServer
server = TemporaryServer.early()
print(server and server.url, "prefect" in sys.modules)
if server:
    server.stop(unused=True)
"""


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/api"], ids=["none", "one of the user's"])
def test_a_temporary_server_is_started_before_prefect_is_imported_unless_the_user_names_one(url: str) -> None:
    environment = {**os.environ, "PREFECT_API_URL": url}
    done = subprocess.run([sys.executable, "-c", EARLY], env=environment, capture_output=True, text=True, check=True)
    server, imported = done.stdout.split()
    assert imported == "False"
    assert (server == "None") if url else server.startswith("http://127.0.0.1:")


def test_with_settings_of_this_process_no_server_is_started_without_them() -> None:
    assert TemporaryServer.early() is None  # Prefect is imported


def test_a_server_that_was_started_in_vain_is_ended(prefect_server: str) -> None:
    server = TemporaryServer()
    with temporary_settings({PREFECT_API_URL: prefect_server}), prefect_api(server=server):
        assert PREFECT_API_URL.value() == prefect_server
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health", trust_env=False)
