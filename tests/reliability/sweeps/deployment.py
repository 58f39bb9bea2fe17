"""What ``deploy/`` describes, as processes on loopback: every command of it is run as it stands, but for the places.

PostgreSQL, Prefect's server on it, the service that registers the schedule, and the worker get the commands and the
environment of ``compose.yaml`` and of the ``Dockerfile``; hosts, ports and folders are replaced, see ``Place.local``. A
run is asked for and trains; the server, the database and the worker are killed in the middle of others; nothing may be
lost.

    python -m tests.reliability.sweeps.deployment              with the packages of this interpreter
    python -m tests.reliability.sweeps.deployment --bin DIR    with those that the Dockerfile installs, in DIR

Needs PostgreSQL's programs, and the right to become the user ``postgres`` where it is started as root.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from nnpipe.store.store import Store

from .schedules import descendants, kill
from .soundness import problems

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

    def kill(self, number: int = signal.SIGKILL) -> None:
        """A signal for it, and its end; with SIGKILL that of all its processes: what an engine does to a container."""
        family = list(descendants(self.process.pid)) if number == signal.SIGKILL else []
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        for process in family:
            kill(process)
        try:
            self.process.wait(60)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

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
        service.kill(signal.SIGTERM)


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


# -- what is shown -----------------------------------------------------------------------------------------------


class Shown:
    """A deployment on loopback, and what is asked of it."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place, self.store = place, Store(place.folder / "store")
        place.build()
        self.database = Database(place)
        stack.callback(self.database.stop)
        self.server = stack.enter_context(running(place, "server"))
        self.server.wait_until_healthy()
        say("the database and the server answer to their health checks")

    def records(self) -> list[dict[str, Any]]:
        """The runs that the store recorded, the oldest first."""
        return list(self.store.runs.newest_first())[::-1]

    def listed(self) -> dict[str, Any]:
        """The schedule, as ``--list`` has it."""
        (row,) = json.loads(self.place.call("nnpipe schedule --list --json"))["schedules"]
        return dict(row)

    def ask_for_a_run(self) -> None:
        """Now, not at night."""
        self.place.call("prefect deployment run train/digits")

    def run(self, state: str = "Completed") -> dict[str, Any]:
        """A run that is asked for now, as the store recorded it and Prefect shows it."""
        before = len(self.records())
        self.ask_for_a_run()
        return self.recorded(before, state)

    def recorded(self, before: int, state: str = "Completed") -> dict[str, Any]:
        """The next run that ends, after so many records."""
        wait(lambda: len(self.records()) > before, "a run to be recorded")
        record = self.records()[before]
        wait(lambda: (self.listed()["run"], self.listed()["state"]) == (record["run"], state), "Prefect to know")
        return record

    def epochs(self, worker: Service) -> int:
        """How many the worker told of."""
        return worker.said.read_text().count('"event": "epoch"')


def main(folder: Path, programs: Path) -> None:
    """The life of a deployment; says what came out, or fails."""
    with ExitStack() as stack:
        shown = Shown(Place(folder, programs), stack)
        registered(shown)
        worker = stack.enter_context(running(shown.place, "worker"))
        trained(shown, worker)
        everything_killed(shown, worker)
        looked_at(shown)
        deployed_from_its_file(shown)
    assert problems(shown.store) == []
    say("the store is sound")


def registered(shown: Shown) -> None:
    """The service ``schedule`` registers and ends; once more changes nothing."""
    for _ in range(2):
        service = Service(shown.place, "schedule")
        assert service.process.wait(120) == 0, service.said.read_text()
    row = shown.listed()
    assert (row["name"], row["when"], row["run"]) == ("digits", "0 3 * * * Europe/Berlin", None)
    say(f"registered, twice: {row['name']}, {row['when']}, next {row['next']}")


def trained(shown: Shown, worker: Service) -> None:
    """A run trains, the next one finds nothing new."""
    first, second = shown.run(), shown.run()
    assert {stage["status"] for stage in first["stages"]} == {"computed"}
    assert {stage["status"] for stage in second["stages"]} == {"reused"}
    events = [json.loads(line) for line in worker.said.read_text().splitlines() if line.startswith("{")]
    assert [event["run"] for event in events if event.get("event") == "run"] == [first["run"], second["run"]]
    say(f"a run trained in {first['seconds']:.0f} s and is recorded; the next one: {shown.listed()['message']}")


def everything_killed(shown: Shown, worker: Service) -> None:
    """The server, the database and the worker get SIGKILL, each in the middle of a training; nothing is lost."""
    for name in ("server", "database", "worker"):
        change_the_spec(shown.place)
        before, epochs = len(shown.records()), shown.epochs(worker)
        shown.ask_for_a_run()
        wait(lambda epochs=epochs: shown.epochs(worker) > epochs, "the training")
        {"server": kill_server, "database": kill_database, "worker": kill_worker}[name](shown, worker)
        if name == "worker":
            shown.ask_for_a_run()  # as the next night does
        record = shown.recorded(before)
        assert record["status"] == "done"
        say(f"{name} killed in the middle of a training: {shown.listed()['message'].partition(' report')[0]}")
    assert [record["status"] for record in shown.records()] == ["done"] * 5


def kill_server(shown: Shown, worker: Service) -> None:
    """And start it again."""
    shown.server.kill()
    time.sleep(3)
    shown.server.again()
    shown.server.wait_until_healthy()


def kill_database(shown: Shown, worker: Service) -> None:
    """And start it again: it recovers."""
    shown.database.stop("immediate")
    time.sleep(3)
    shown.database.start()
    shown.server.wait_until_healthy()


def kill_worker(shown: Shown, worker: Service) -> None:
    """With the run that it carries out, and start it again."""
    worker.kill()
    worker.again()


def change_the_spec(place: Place) -> None:
    """Another seed: the next run trains."""
    path = place.folder / "app" / "specs" / "digits.yaml"
    text = path.read_text()
    (seed,) = map(int, re.findall(r"^seed: (\d+)", text, re.M))
    path.write_text(re.sub(r"^seed: \d+", f"seed: {seed + 1}", text, flags=re.M))


def looked_at(shown: Shown) -> None:
    """Every command of README.md that looks into the store, ``--remove`` last."""
    commands = re.findall(r"^\$ docker compose run --rm worker (.*)$", (DEPLOY / "README.md").read_text(), re.M)
    for command in sorted(commands, key=lambda command: "--remove" in command):
        assert shown.place.call(command)
    assert json.loads(shown.place.call("nnpipe schedule --list --json")) == {"schedules": []}
    say(f"{len(commands)} commands of README.md; the schedule is removed")


def deployed_from_its_file(shown: Shown) -> None:
    """``prefect.yaml`` registers the same; a run of it finds nothing new."""
    text = (DEPLOY / "prefect.yaml").read_text()
    (command,) = re.findall(r"^#   (prefect .*)$", text, re.M)
    (shown.place.folder / "app" / "deploy").mkdir()
    (shown.place.folder / "app" / "deploy" / "prefect.yaml").write_text(shown.place.local(text))
    shown.place.call(command)
    assert shown.listed()["when"] == "0 3 * * * Europe/Berlin"
    shown.run()
    say(f"prefect.yaml registers the same; a run of it: {shown.listed()['message']}")


def wait(wanted: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(1)


def say(text: str) -> None:
    """As it comes."""
    print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path(sys.executable).parent, metavar="DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        main(Path(name), options.bin)
