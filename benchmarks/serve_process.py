"""``nnpipe serve`` in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.memory import resident


class Server:
    """The process, and what can be seen of it from outside."""

    def __init__(self, model: Path) -> None:
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        command = [sys.executable, "-m", "nnpipe", "serve", str(model), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=self.said)
        while not (found := re.search(r"http://127.0.0.1:(\d+)", self.stderr())):
            if self.process.poll() is not None:
                raise SystemExit(self.stderr())
            time.sleep(0.05)
        self.port = int(found[1])

    def stderr(self) -> str:
        self.said.seek(0)
        return self.said.read()

    def memory(self) -> float:
        """Resident, in MB."""
        return resident(self.process.pid) / 2**20

    def stop(self) -> tuple[int, float]:
        """Exit status and seconds."""
        started = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        return status, time.perf_counter() - started
