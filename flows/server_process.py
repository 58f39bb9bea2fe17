"""Prefect's server as a process of its own: a temporary one for a run, or one that lasts.

It ends with the process that started it, however that ends, and Ctrl-C does not reach it, so that a run can still tell
it how it ended. To start takes it longer than all else that a run needs: nothing here imports Prefect, except in that
process.
"""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Literal

from nnpipe.errors import NnpipeError

# The first start for a user makes the database: it took 13 s on two idle cores.
STARTUP_SECONDS = 180.0
SHUTDOWN_SECONDS = 15.0
WITHOUT = "--engine local does without Prefect"
# What a server for one run does without. Kinds of blocks are registered by the first server that has a UI for them;
# to find them, all of Prefect's integrations that are installed would be imported.
TEMPORARY = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
}


class ServerAwayError(NnpipeError):
    """Prefect's server does not answer, or does not start. Nothing was begun."""


class TemporaryServer:
    """A server that is starting, on a free port of loopback."""

    def __init__(self) -> None:
        self._said = TemporaryFile()  # noqa: SIM115 - closed by ``stop``
        # Requests wait in the listener's queue until the server accepts them: no port is raced for, nothing is polled.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._process = spawn(listener, self._said, "ephemeral", **TEMPORARY)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        # Closed here, the death of the server refuses connections.

    @classmethod
    def early(cls) -> TemporaryServer | None:
        """Start one before Prefect is imported; None where it is, or where the user names a server."""
        return None if "prefect" in sys.modules or os.environ.get("PREFECT_API_URL") else cls()

    def answered(self) -> None:
        """Wait until it answers.

        Raises:
            ServerAwayError: it does not start.
        """
        import httpx

        try:
            httpx.get(f"{self.url}/health", timeout=STARTUP_SECONDS, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            self._said.seek(0)
            last_words = self._said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise ServerAwayError(
                "Prefect's temporary server did not start",
                found=" ".join(last_words) or str(error),
                hint=f"`prefect server start` shows why; {WITHOUT}",
            ) from error

    def stop(self, *, unused: bool = False) -> None:
        """End it. unused: it was asked nothing, and need not close anything."""
        if unused:
            self._process.kill()
        stop(self._process)
        self._said.close()


def spawn(
    listener: socket.socket, said: IO[bytes] | int, kind: Literal["ephemeral", "lasting"], **environment: str
) -> subprocess.Popen[bytes]:
    """Start a server that accepts connections from ``listener``; it ends with its input, and so with this process.

    said: where it writes, a file or as ``subprocess`` has it.
    kind: a lasting one also makes runs of schedules, and marks those that are late.
    environment: settings of Prefect beside those of this process.
    """
    settings = {}
    if "prefect" in sys.modules:  # or else there are none but those that the server reads for itself
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


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server: it closes its database, or is killed where that takes too long."""
    assert process.stdin is not None
    process.stdin.close()  # the server ends with its input
    try:
        process.wait(SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(listener: socket.socket, *, ephemeral: bool) -> bool:
    """Be a server, until standard input ends; whether it ever answered."""
    gc.disable()  # what is imported stays: looking through it for garbage takes a fifth of the time
    import httpx
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

    def ask_first() -> None:
        # Its routes are prepared when one of them is asked for; now, that is before anybody waits for it.
        with suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/api/admin/version", timeout=STARTUP_SECONDS, trust_env=False)
        gc.freeze()
        gc.enable()

    port = listener.getsockname()[1]
    for work in (end_with_input, ask_first):
        Thread(target=work, daemon=True).start()
    server.run([listener])
    return server.started


if __name__ == "__main__":
    answered = _serve(socket.socket(fileno=int(sys.argv[1])), ephemeral=sys.argv[2] == "ephemeral")
    sys.stderr.flush()
    # Everything is closed by now; taking the interpreter apart would cost the run another second or two.
    os._exit(0 if answered else 1)
