"""What ``deploy/`` describes, as processes on loopback: every command of it is run as it stands, but for the places.

PostgreSQL, Prefect's server on it, the service that registers the schedule, and the worker get the commands and the
environment of ``compose.yaml`` and of the ``Dockerfile``; ``containers.py`` says what is replaced. A run is asked for
and trains; the server, the database and the worker are killed in the middle of others, and the worker is stopped;
nothing may be lost.

    python -m tests.reliability.sweeps.deployment              with the packages of this interpreter
    python -m tests.reliability.sweeps.deployment --bin DIR    with those that the Dockerfile installs, in DIR

Needs PostgreSQL's programs, and the right to become the user ``postgres`` where it is started as root.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from nnpipe.store.store import Store

from .containers import DEPLOY, Database, Place, Service, running, wait
from .soundness import problems


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

    def run(self) -> dict[str, Any]:
        """A run that is asked for now, as the store recorded it, and Prefect shows it as completed."""
        before = len(self.records())
        self.ask_for_a_run()
        wait(lambda: len(self.records()) > before, "a run to be recorded")
        record = self.records()[before]
        wait(lambda: self.states().get(record["run"]) == "Completed", "Prefect to know")
        return record

    def states(self) -> dict[str, str]:
        """What Prefect shows of each run, those of the future left out."""
        wanted = {"flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}}}
        url = f"http://127.0.0.1:{self.place.server}/api/flow_runs/filter"
        return {run["name"]: run["state_name"] for run in httpx.post(url, json=wanted, trust_env=False).json()}

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
    """The server, the database and the worker get SIGKILL in the middle of a training, the worker SIGTERM, too."""
    for what, end in {
        "server killed": kill_server,
        "database killed": kill_database,
        "worker killed": lambda _: worker.kill(),
        "worker stopped": lambda _: worker.stop(),
    }.items():
        change_the_spec(shown.place)
        before, epochs = len(done(shown)), shown.epochs(worker)
        shown.ask_for_a_run()
        wait(lambda epochs=epochs: shown.epochs(worker) > epochs, "the training")
        end(shown)
        if worker.process.poll() is not None:
            worker.again()
            shown.ask_for_a_run()  # as the next night does
        wait(lambda before=before: len(done(shown)) > before, "a run to be done")
        record = done(shown)[before]
        wait(lambda record=record: shown.states().get(record["run"]) == "Completed", "Prefect to know")
        say(f"{what} in the middle of a training; done: {shown.listed()['message'].partition(', report')[0]}")
    assert len(done(shown)) == 6
    say(
        f"the store has {told(record['status'] for record in shown.records())}; Prefect {told(shown.states().values())}"
    )


def done(shown: Shown) -> list[dict[str, Any]]:
    """The records of runs that came to their end."""
    return [record for record in shown.records() if record["status"] == "done"]


def told(names: Iterable[str]) -> str:
    """How many of each there are."""
    return ", ".join(f"{number} {name.lower()}" for name, number in sorted(Counter(names).items()))


def kill_server(shown: Shown) -> None:
    """And start it again."""
    shown.server.kill()
    time.sleep(3)
    shown.server.again()
    shown.server.wait_until_healthy()


def kill_database(shown: Shown) -> None:
    """And start it again: it recovers."""
    shown.database.stop("immediate")
    time.sleep(3)
    shown.database.start()
    shown.server.wait_until_healthy()


def change_the_spec(place: Place) -> None:
    """Another learning rate: the next run fine-tunes anew."""
    path = place.folder / "app" / "specs" / "digits.yaml"
    text = path.read_text()
    (rate,) = re.findall(r"kind: adam, learning_rate: ([\d.]+)", text)
    path.write_text(text.replace(f"kind: adam, learning_rate: {rate}", f"kind: adam, learning_rate: {rate}1"))


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


def say(text: str) -> None:
    """As it comes."""
    print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path(sys.executable).parent, metavar="DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        main(Path(name), options.bin)
