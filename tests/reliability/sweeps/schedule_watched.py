"""Schedules as those see them who watch: what grows is bounded, what is away is told, what ends is taken over.

Two schedules of one store share the server that the first one started; the first gets SIGKILL, and the second has to
go on with a server of its own. Then a server of the user's, at ``PREFECT_API_URL``, is away in the middle of a
training: that has to be told once, ``/health`` has to say so, the run has to be recorded, and Prefect to hear of it
when the server is back.

    python -m tests.reliability.sweeps.schedule_watched --where /dev/shm
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .schedules import Schedule, make_folder, nnpipe, records, scheduled, send_good, trained

KEPT = 5  # records of runs
WATCHED = ("--every", "1s", "--metrics-port", "0", "--keep-runs", str(KEPT))


def main(folder: Path) -> None:
    """Says what came out, or fails."""
    for name in ("shared", "away"):
        (folder / name).mkdir()
        make_folder(folder / name, epochs=400)
    two_in_one_store(folder / "shared")
    server_away(folder / "away")


# -- two schedules, one store ------------------------------------------------------------------------------------


def two_in_one_store(folder: Path) -> None:
    """The second one takes the server over when the first one ends."""
    (folder / "second.yaml").write_text((folder / "shades.yaml").read_text().replace("name: shades", "name: second"))
    with scheduled(folder, "shades.yaml", *WATCHED) as first:
        first.wait(lambda: len(first.done()) >= 2, "two runs")
        with scheduled(folder, "second.yaml", *WATCHED) as second:
            second.wait(lambda: len(second.told("run")) >= 2, "two runs of the second schedule")
            assert "process" in second.told("server")[0]["message"]  # who keeps the server
            first.kill()
            killed, before = time.monotonic(), len(second.told("run"))
            second.wait(lambda: len(second.told("run")) > before + 1, "runs after the end of the first")
            print(f"first of two schedules killed: the second runs on with a server of its own after "
                  f"{time.monotonic() - killed:.0f} s")  # fmt: skip
            for event in second.told("server"):
                print(f"  {event['level']}: {event['message'][:110]}")
            second.wait(lambda: len(second.told("run")) > before + 2 * KEPT, "more runs than are kept")
            bounded(folder, second)
            names = [row["name"] for row in json.loads(nnpipe(folder, "schedule", "--list", "--json"))["schedules"]]
            assert names == ["second", "shades"]
            assert second.stop() == 130
            assert second.strange == []


def bounded(folder: Path, second: Schedule) -> None:
    """Records of runs go, but the last few and those that tell of the network that a ref names; numbers are there."""
    kept = [record["run"] for record in records(folder) if record["spec"] == "second"]
    assert KEPT <= len(kept) <= KEPT + 4, kept  # three that tell of the network in use, and one just made
    print(f"{len(second.told('run'))} runs of the second one, {len(kept)} records kept with --keep-runs {KEPT}")
    numbers = scraped(second)
    assert numbers['nnpipe_metric{name="test_accuracy",spec="second"}'] > 0.6
    assert numbers['nnpipe_champion_metric{name="test_accuracy",spec="second"}'] > 0.6
    assert numbers['nnpipe_runs_total{outcome="done",spec="second"}'] > KEPT
    before = len(records(folder))
    nnpipe(folder, "gc", "--keep-records", "2")
    assert len(records(folder)) < before
    assert all(each["status"] == "done" for each in records(folder))
    print(f"{len(numbers)} numbers at /metrics; gc --keep-records 2: {before} records, then {len(records(folder))}")


def scraped(schedule: Schedule) -> dict[str, float]:
    """What /metrics tells."""
    lines = watched(schedule, "/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def watched(schedule: Schedule, path: str) -> httpx.Response:
    """The answer to somebody who watches a schedule."""
    return httpx.get(schedule.told("metrics")[0]["url"] + path, trust_env=False)


# -- a server that is away ---------------------------------------------------------------------------------------


def server_away(folder: Path) -> None:
    """Of the user's own; away in the middle of a training, and back some seconds after its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with server(folder, port) as process, scheduled(folder, "shades.yaml", *WATCHED, server=url) as schedule:
        schedule.wait(lambda: len(schedule.done()) >= 2, "two runs")
        assert watched(schedule, "/health").status_code == 200
        send_good(folder)
        epochs = len(schedule.told("epoch"))
        schedule.wait(lambda: len(schedule.told("epoch")) > epochs, "the second training")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        schedule.wait(lambda: len(trained(records(folder))) == 2, "the run under way to be recorded")
        schedule.wait(lambda: watched(schedule, "/health").status_code == 503, "the health check to tell")
        print(f"server killed in the middle of a training: the run is recorded; "
              f"/health: {watched(schedule, '/health').json()['status']}")  # fmt: skip
        (name,) = [record["run"] for record in records(folder) if trained([record])][1:]
        with server(folder, port):
            schedule.wait(lambda: schedule.told("server", message="Prefect's server answers again"), "it to be back")
            schedule.wait(lambda: state(url, name) is not None, "Prefect to know the run")
            schedule.wait(lambda: state(url, name) == "Completed", "Prefect to hear of the run")
            before = len(schedule.told("run"))
            schedule.wait(lambda: len(schedule.told("run")) > before, "a further run")
            assert watched(schedule, "/health").status_code == 200
            assert schedule.stop() == 130
        told = schedule.told("server", level="warning")
        assert len(told) == 1, told
        print(f"  told once: {told[0]['message'][:110]}")
        print("  server back: Prefect shows that run as Completed, and the next ones run")
        assert schedule.strange == []


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``prefect server start``, with its database in ``folder``."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    environment = {**os.environ, "PREFECT_HOME": str(folder / "home"), "PREFECT_UI_ENABLED": "false"}
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not up(port):
            assert time.monotonic() < deadline
            time.sleep(0.3)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def up(port: int) -> bool:
    """Whether the server answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def state(url: str, run: str) -> str | None:
    """What Prefect shows of a run."""
    wanted: dict[str, Any] = {"flow_runs": {"name": {"any_": [run]}}}
    found = httpx.post(f"{url}/flow_runs/filter", json=wanted, trust_env=False).json()
    return found[0]["state_name"] if found else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", type=Path, help="a folder for what is made, /dev/shm for one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.where) as name:
        main(Path(name))
