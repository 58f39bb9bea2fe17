"""The services of ``deploy/compose.yaml`` as processes on loopback: a place for each container and volume.

Commands and environments are those of the files but for hosts, ports and folders: ``Place.local`` tells all of it.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from .schedules import descendants, kill

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
SERVICES = YAML(typ="safe").load(DEPLOY / "compose.yaml")["services"]


# -- where it is -----------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Place:
    """A folder that stands for the containers and their volumes. programs: where ``nnpipe`` and ``prefect`` are."""

    folder: Path
    programs: Path
    server: int = field(default_factory=free_port)
    database: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def local(self, text: str) -> str:
        """A text of ``deploy/`` with the places that it has here; nothing else of it is changed."""
        for there, here in {
            "server:4200": f"127.0.0.1:{self.server}",
            "localhost:4200": f"127.0.0.1:{self.server}",
            "--port 4200": f"--port {self.server}",
            "--host 0.0.0.0": "--host 127.0.0.1",
            "@database/": f"@127.0.0.1:{self.database}/",
            "${DATABASE_PASSWORD}": self.password,
            "/home/nnpipe": str(self.folder / "home"),
            "/app": str(self.folder / "app"),
        }.items():
            text = text.replace(there, here)
        return re.sub(r"(?<![\w/])/(store|data)\b", rf"{self.folder}/\1", text)

    def build(self) -> None:
        """Copy what the Dockerfile copies."""
        (self.folder / "home").mkdir()
        for line in re.findall(r"^COPY (.*)$", dockerfile(), re.M):
            *sources, target = line.split()
            for source in sources:
                copied = self.folder / "app" / (source if target == "./" else target)
                copied.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, copied)

    def environment(self, service: str) -> dict[str, str]:
        """That of the image and of a service, and of this process what names no store and nothing of Prefect's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "NNPIPE_"))}
        (text,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", dockerfile(), re.M)
        image = dict(word.split("=", 1) for word in shlex.split(text.replace("\\\n", " ")))
        given = {name: str(value) for name, value in {**image, **SERVICES[service]["environment"]}.items()}
        path = f"{self.programs}{os.pathsep}{own['PATH']}"
        home = {"HOME": str(self.folder / "home"), "PREFECT_HOME": str(self.folder / "home" / ".prefect")}
        return {**own, **home, "PATH": path, **{name: self.local(value) for name, value in given.items()}}

    def command(self, service: str) -> list[str]:
        """That of a service."""
        words: list[str] = SERVICES[service]["command"]
        if words[:2] == ["sh", "-c"]:
            return ["sh", "-c", self.local(words[2])]
        return shlex.split(self.local(shlex.join(words)))

    def call(self, command: str) -> str:
        """What a command prints that is run in a container of the worker, as ``README.md`` shows; it has to succeed."""
        done = subprocess.run(
            shlex.split(self.local(command)), cwd=self.folder / "app", env=self.environment("worker"),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


def dockerfile() -> str:
    """Its text."""
    return (DEPLOY / "Dockerfile").read_text()


# -- services --------------------------------------------------------------------------------------------------


class Service:
    """A service of the compose file, in a process group of its own. said: the file with what it writes."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self.name, self.said = place, name, place.folder / f"{name}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.said.open("ab") as said:
            return subprocess.Popen(
                self._place.command(self.name), cwd=self._place.folder / "app", stdout=said, stderr=said,
                env=self._place.environment(self.name), stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL for all its processes."""
        self._end(signal.SIGKILL, 0)

    def stop(self, seconds: float = 10) -> None:
        """What an engine does to stop a container: SIGTERM for the first process, and after a while SIGKILL for all."""
        self._end(signal.SIGTERM, seconds)

    def _end(self, number: int, seconds: float) -> None:
        family = list(descendants(self.process.pid))
        self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        for process in family:
            kill(process)
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        """What ``restart: unless-stopped`` does."""
        assert self.process.poll() is not None
        self.process = self._start()

    def wait_until_healthy(self) -> None:
        """Ask as its health check does, as often as it says."""
        check = SERVICES[self.name]["healthcheck"]
        _, *words = shlex.split(self._place.local(shlex.join(check["test"])))
        environment = self._place.environment(self.name)
        wait(lambda: subprocess.run(words, env=environment, stderr=subprocess.DEVNULL).returncode == 0, self.name)


@contextmanager
def running(place: Place, name: str) -> Iterator[Service]:
    """A service of the compose file, until the end of the block."""
    service = Service(place, name)
    try:
        yield service
    finally:
        service.stop()


class Database:
    """PostgreSQL with the user, the password and the database that the compose file gives it."""

    def __init__(self, place: Place) -> None:
        self._place, self._data = place, place.folder / "database"
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        self._programs = found[-1] if found else Path(shutil.which("initdb") or "initdb").parent
        self._options = f"-h 127.0.0.1 -p {place.database} -k {self._data}"
        self._data.mkdir()
        password = place.folder / "password"
        password.write_text(place.password)
        if os.getuid() == 0:
            place.folder.chmod(0o711)
            shutil.chown(self._data, "postgres")
            shutil.chown(password, "postgres")
        user = SERVICES["database"]["environment"]["POSTGRES_USER"]
        self._call("initdb", "-D", self._data, "-U", user, "-A", "scram-sha-256", f"--pwfile={password}")
        self.start()
        name = SERVICES["database"]["environment"]["POSTGRES_DB"]
        self._call("createdb", "-h", "127.0.0.1", "-p", str(place.database), "-U", user, name)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._call("pg_ctl", "-D", self._data, "-l", self._data / "log", "-o", self._options, "-w", "start")

    def stop(self, how: str = "fast") -> None:
        """End it; ``immediate`` is a crash: it has to recover when it is started again."""
        self._call("pg_ctl", "-D", self._data, "-m", how, "-w", "stop")

    def _call(self, program: str, *words: str | Path) -> None:
        become = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*become, self._programs / program, *words]
        environment = {**os.environ, "PGPASSWORD": self._place.password}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", env=environment)


def wait(wanted: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(1)
