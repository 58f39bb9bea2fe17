"""A folder of images that grows, a spec that learns it behind a gate, and ``nnpipe schedule`` as the process it is."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import numpy as np
from PIL import Image

from flows import server_process

SPEC = """\
version: 1
name: shades
data: {{source: {{kind: image_folder, path: images}}}}
model:
  layers:
    - {{kind: dense, units: 8, activation: sigmoid}}
    - {{kind: dense, units: 3, activation: softmax}}
train: {{loss: cross_entropy, optimizer: adam, epochs: {epochs}, batch_size: 16}}
visualize: []
promote: {{metric: test_accuracy}}
"""
BRIGHTNESS = {"dark": 60, "grey": 125, "light": 190}  # of a class; a mean of 64 pixels is within 5 of it
Shade = Literal["dark", "grey", "light"]


# -- the folder ----------------------------------------------------------------------------------------------


def make_folder(folder: Path, epochs: int) -> None:
    """A spec, 40 images of each class to be tested with, and to learn from 40 dark, 40 light, and 5 grey ones.

    The grey ones are mistakes: they are light. So whatever is learnt, no grey image is told from the others, and two
    thirds of the test examples are right.
    """
    for shade in BRIGHTNESS:
        put(folder / "images" / "test" / shade, shade, range(40))
    for shade, shown in (("dark", "dark"), ("light", "light")):
        put(folder / "images" / "train" / shade, shown, range(40))
    put(folder / "images" / "train" / "grey", "light", range(5))
    (folder / "shades.yaml").write_text(SPEC.format(epochs=epochs))


def send_good(folder: Path) -> None:
    """A hundred grey images, labelled as they are: with them all three classes can be told apart."""
    put(folder / "images" / "train" / "grey", "grey", range(100, 200))


def send_bad(folder: Path) -> None:
    """Two hundred light images, labelled dark: with them a light image is learnt to be dark."""
    put(folder / "images" / "train" / "dark", "light", range(200, 400))


def put(folder: Path, shade: str, numbers: range) -> None:
    """Put images into a folder, whole and nearly at once: written under names with a dot, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng((number, BRIGHTNESS[shade])).normal(BRIGHTNESS[shade], 40, (8, 8))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f".{number}.png")
    for number in numbers:
        (folder / f".{number}.png").rename(folder / f"{number}.png")


# -- the process ---------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """That of this process, without what it says of Prefect and of stores."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "NNPIPE_STORE"))}


def nnpipe(folder: Path, *words: str) -> str:
    """What a command of nnpipe prints, in ``folder``; its failure fails this."""
    command = [sys.executable, "-m", "nnpipe", *words]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Schedule:
    """``nnpipe schedule`` in a process, and the events that it told. server: of the user's own, a URL."""

    def __init__(self, folder: Path, *words: str, server: str | None = None) -> None:
        self.folder, self._words = folder, words
        self._environment = environment() | ({"PREFECT_API_URL": server} if server else {})
        self.events: list[dict[str, Any]] = []
        self.strange: list[str] = []  # lines that are no events
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nnpipe", "schedule", *self._words, "--log-format", "json"]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    self.strange.append(line)

    def again(self) -> None:
        """Start it again."""
        self.process = self._start()

    def told(self, event: str, **facts: object) -> list[dict[str, Any]]:
        """Events of a kind with these facts."""
        return [each for each in self.events if {"event": event, **facts}.items() <= each.items()]

    def wait(self, wanted: Callable[[], object], what: str, seconds: float = 240) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not wanted():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"waited for {what}; status {self.process.poll()}: {self.events} {self.strange}")
            time.sleep(0.05)

    def done(self) -> list[dict[str, Any]]:
        """The records of runs that came to their end, and said so: a record is there before the gate was asked."""
        told = {event["run"] for event in self.told("run", status="done")}
        return [record for record in records(self.folder) if record["run"] in told]

    def wait_for_next_run(self) -> None:
        """Wait until one more run is done: the next one is then seconds away."""
        before = len(self.done())
        self.wait(lambda: len(self.done()) > before, "the next run")

    def kill(self) -> None:
        """SIGKILL for it and for the run under way; not for Prefect's server, which ends by itself."""
        family = descendants(self.process.pid)
        os.kill(self.process.pid, signal.SIGKILL)
        for process, command in family.items():
            if not is_server(command):
                kill(process)
        self.process.wait()

    def kill_server(self) -> None:
        """SIGKILL for Prefect's server."""
        servers = [process for process, command in descendants(self.process.pid).items() if is_server(command)]
        assert servers, "no server to kill"
        for process in servers:
            kill(process)

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def scheduled(folder: Path, *words: str, server: str | None = None) -> Iterator[Schedule]:
    """A schedule that is served in ``folder``; none of its processes is left."""
    schedule = Schedule(folder, *words, server=server)
    try:
        yield schedule
    finally:
        if schedule.process.poll() is None:
            schedule.stop()


def kill(process: int) -> None:
    """SIGKILL, if it is there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_server(command: str) -> bool:
    """Whether a command line is that of Prefect's server."""
    return server_process.__file__ in command


def descendants(process: int) -> dict[int, str]:
    """The processes that came of one, by number, with their command lines (Linux)."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if parent == process:
            found |= {int(path.name): command, **descendants(int(path.name))}
    return found


# -- what is left of it --------------------------------------------------------------------------------------


def records(folder: Path) -> list[dict[str, Any]]:
    """The runs in the store of ``folder``, in order."""
    return [json.loads(path.read_text()) for path in sorted((folder / "artifacts" / "runs").glob("*.json"))]


def trained(records: list[dict[str, Any]]) -> list[str]:
    """The networks that runs trained, rather than found."""
    made = [stage for record in records for stage in record["stages"] if stage["name"] == "finetune"]
    return [stage["artifact"] for stage in made if stage["status"] != "reused"]


def flow_runs(folder: Path) -> list[dict[str, Any]]:
    """The runs of which Prefect's database in ``folder`` knows, as they were due; those of the future are left out."""
    wanted = "name, state_type, state_name, expected_start_time, run_count"
    with closing(sqlite3.connect(f"file:{folder}/artifacts/prefect/prefect.db?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            f"select {wanted} from flow_run where expected_start_time < datetime('now') order by expected_start_time"
        )
        return [dict(row) for row in rows]
