"""A schedule whose server and whose processes are killed in the middle of a training: nothing may be lost.

A folder of images gets new ones twice while ``nnpipe schedule`` looks at it every few seconds. The first training is
left in peace; in the second, Prefect's server gets SIGKILL; in the third, the process that serves and the run's own get
it, and the schedule is started again. In the end ten runs must be done, three of which trained, each on its state of
the folder, and Prefect must have no run that is under way.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image

SPEC = """\
version: 1
name: shades
data: {{source: {{kind: image_folder, path: images}}, test: 0.25}}
model:
  layers:
    - {{kind: dense, units: 4, activation: sigmoid}}
    - {{kind: dense, units: 2, activation: softmax}}
train: {{loss: cross_entropy, optimizer: adam, epochs: {epochs}, batch_size: 16}}
visualize: []
"""


def add_image(folder: Path, name: str, number: int) -> None:
    """Put an image into ``folder``, whole: written beside, then renamed. ``name``: dark or light."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    brightness = np.random.default_rng(number).normal(60 if name == "dark" else 190, 40, (8, 8))
    beside = folder / name / f".{number}.png"
    Image.fromarray(np.clip(brightness, 0, 255).astype(np.uint8)).save(beside)
    beside.rename(beside.with_name(f"{number}.png"))


def make_folder(folder: Path, epochs: int) -> None:
    """A folder with forty images of each class, and a spec that learns them."""
    for number in range(40):
        add_image(folder / "images", "dark", number)
        add_image(folder / "images", "light", number)
    (folder / "shades.yaml").write_text(SPEC.format(epochs=epochs))


class Schedule:
    """``nnpipe schedule`` in a process, and the events that it told."""

    def __init__(self, folder: Path, every: str, *options: str) -> None:
        self.folder, self._options = folder, ("--every", every, *options)
        self.events: list[dict[str, Any]] = []
        self.strange: list[str] = []  # lines that are no events
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nnpipe", "schedule", "shades.yaml", *self._options, "--log-format", "json"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
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

    def records(self) -> list[dict[str, Any]]:
        """The runs in the store, in order."""
        return [json.loads(path.read_text()) for path in sorted((self.folder / "artifacts" / "runs").glob("*.json"))]

    def done(self) -> list[dict[str, Any]]:
        """Those that came to their end."""
        return [record for record in self.records() if record["status"] == "done"]

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def scheduled(folder: Path, every: str, *options: str) -> Iterator[Schedule]:
    """A schedule of the spec in ``folder``; none of its processes is left."""
    schedule = Schedule(folder, every, *options)
    try:
        yield schedule
    finally:
        if schedule.process.poll() is None:
            schedule.stop()


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


def trained(records: list[dict[str, Any]]) -> list[str]:
    """The networks that runs trained, rather than found."""
    made = [stage for record in records for stage in record["stages"] if stage["name"] == "finetune"]
    return [stage["artifact"] for stage in made if stage["status"] != "reused"]


def main(folder: Path, every: str, epochs: int) -> None:
    """Ten runs, two kills; says what came out, or fails."""
    began = time.monotonic()
    make_folder(folder, epochs)
    with scheduled(folder, every) as schedule:
        schedule.wait(lambda: len(schedule.done()) >= 3, "three runs")
        assert len(trained(schedule.done())) == 1

        add_image(folder / "images", "dark", 100)
        schedule.wait(lambda: len(schedule.told("epoch")) > epochs, "the second training")
        server = next(each for each, command in descendants(schedule.process.pid).items() if "server.py" in command)
        os.kill(server, signal.SIGKILL)
        killed = time.monotonic()
        schedule.wait(lambda: schedule.told("server", level="error"), "the death of the server to be told")
        schedule.wait(lambda: len(trained(schedule.done())) == 2, "the run under way to be done")
        mended = len(schedule.done())
        schedule.wait(lambda: len(schedule.done()) > mended + 1, "further runs")
        print(f"server killed: run under way done, the next runs within {time.monotonic() - killed:.0f} s")

        add_image(folder / "images", "light", 200)
        before = len(schedule.told("epoch"))
        schedule.wait(lambda: len(schedule.told("epoch")) > before, "the third training")
        family = descendants(schedule.process.pid)
        os.kill(schedule.process.pid, signal.SIGKILL)
        for process, command in family.items():
            if "server.py" not in command:  # that one ends by itself
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        schedule.process.wait()
        killed = time.monotonic()
        schedule.again()
        schedule.wait(lambda: len(trained(schedule.done())) == 3, "the killed run to be done")
        print(f"all but the server killed: started again, the run done after {time.monotonic() - killed:.0f} s")

        schedule.wait(lambda: len(schedule.done()) >= 10, "ten runs")
        status = schedule.stop()
    records = schedule.records()
    listed = subprocess.run(
        [sys.executable, "-m", "nnpipe", "schedule", "--list", "--json"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (row,) = json.loads(listed.stdout)["schedules"]
    assert status == 130, status
    assert not schedule.strange, schedule.strange
    assert len(trained(schedule.done())) == len(set(trained(schedule.done()))) == 3
    assert row["state"] == "Completed", row
    seconds = sorted(record["seconds"] for record in schedule.done() if not trained([record]))
    left_out = sum(each["runs"] for each in schedule.told("skipped"))
    print(
        f"{len(schedule.done())} runs done of {len(records)} recorded, 3 of them trained, {len(seconds)} reused all in "
        f"{seconds[len(seconds) // 2]:.2f} s (median), {left_out} left out while another was under way; "
        f"{time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", default="3s")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--where", type=Path, help="a folder for what is made, /dev/shm for one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.where) as name:
        main(Path(name), options.every, options.epochs)
