"""A schedule left alone: it learns what is new, promotes what is better, and survives SIGKILL in the middle of both.

A folder of images gets new ones twice while ``nnpipe schedule`` looks at it every few seconds. The first run trains the
first network, which is champion. The new images are good ones first: a second network is trained, which must be
promoted, and meanwhile Prefect's server gets SIGKILL. Then mislabelled ones: a third network is trained, which must be
refused with a reason, and meanwhile the process that serves and the run's own get SIGKILL; the schedule is started
again. Everything else must be reused. In the end nothing may be missing and nothing may be there twice: see ``check``.

    python -m tests.reliability.sweeps.schedule_kills --where /dev/shm
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from nnpipe.store.store import Store

from .schedules import Schedule, flow_runs, make_folder, nnpipe, records, scheduled, send_bad, send_good, trained
from .soundness import problems

EVERY = 3  # seconds


def main(folder: Path, epochs: int, runs: int) -> None:
    """So many runs, two kills; says what came out, or fails."""
    began = time.monotonic()
    make_folder(folder, epochs)
    with scheduled(folder, "shades.yaml", "--every", f"{EVERY}s") as schedule:
        schedule.wait(lambda: len(schedule.done()) >= 3, "three runs")
        first_state(schedule)
        server_killed(schedule, epochs)
        all_killed(schedule)
        schedule.wait(lambda: len(schedule.done()) >= runs, f"{runs} runs")
        status = schedule.stop()
    assert status == 130, status
    assert not schedule.strange, schedule.strange
    check(folder)
    check_networks(folder, networks(folder))
    print(f"{time.monotonic() - began:.0f} s")


# -- the story -----------------------------------------------------------------------------------------------


def first_state(schedule: Schedule) -> None:
    """The first run trained, and its network is champion; the two after it found nothing new."""
    assert len(trained(schedule.done())) == 1
    assert trained(schedule.done()[:1]) == [champion(schedule.folder)]


def server_killed(schedule: Schedule, epochs: int) -> None:
    """New images, and SIGKILL for the server while they are learnt: the run is done, and its network promoted."""
    schedule.wait_for_next_run()
    send_good(schedule.folder)
    schedule.wait(lambda: len(schedule.told("epoch")) > epochs, "the second training")
    schedule.kill_server()
    killed = time.monotonic()
    schedule.wait(lambda: schedule.told("server", level="error"), "the death of the server to be told")
    schedule.wait(lambda: len(trained(schedule.done())) == 2, "the run under way to be done")
    done = time.monotonic() - killed
    for _ in range(2):
        schedule.wait_for_next_run()
    print(
        f"server killed: the run under way done after {done:.1f} s, two more within {time.monotonic() - killed:.0f} s"
    )


def all_killed(schedule: Schedule) -> None:
    """New images, and SIGKILL for whoever serves and for the run that learns them; then it is started again."""
    schedule.wait_for_next_run()
    send_bad(schedule.folder)
    before = len(schedule.told("epoch"))
    schedule.wait(lambda: len(schedule.told("epoch")) > before, "the third training")
    schedule.kill()
    killed = time.monotonic()
    assert len(trained(schedule.done())) == 2
    schedule.again()
    schedule.wait(lambda: len(trained(schedule.done())) == 3, "the killed run to be done")
    print(f"all but the server killed, which went with them: the run done {time.monotonic() - killed:.0f} s later")


# -- the end -------------------------------------------------------------------------------------------------


def check(folder: Path) -> None:
    """Nothing is lost, of the store, of Prefect's runs and of the champion's history; or this fails."""
    store, done = Store(folder / "artifacts"), records(folder)
    assert {record["status"] for record in done} == {"done"}
    learnt = networks(folder)
    assert len(set(learnt)) == len(trained(done)) == 3

    assert problems(store) == []
    print(nnpipe(folder, "verify").strip())
    check_champion(folder, learnt)
    left_out = check_flow_runs(flow_runs(folder), [record["run"] for record in done])

    (row,) = json.loads(nnpipe(folder, "schedule", "--list", "--json"))["schedules"]
    assert row["state"] == "Completed", row
    seconds = [record["seconds"] for record in done if not trained([record])]
    print(
        f"{len(done)} runs done, 3 of them trained, {len(seconds)} reused all in {median(seconds):.2f} s (median), "
        f"{left_out} left out while another was under way or nobody served; every time that "
        "was due is accounted for once"
    )


def check_champion(folder: Path, learnt: list[str]) -> None:
    """The first network became champion, then the second; the third was refused, each time it was asked about."""
    moves = json.loads(nnpipe(folder, "champions", "shades", "--json"))
    assert [(move["kind"], move["from"], move["to"]) for move in moves] == [
        ("promotion", None, learnt[0]),
        ("promotion", learnt[0], learnt[1]),
    ]
    assert champion(folder) == learnt[1]
    assert Store(folder / "artifacts").refs["shades/latest"] == learnt[2]
    verdicts: dict[str, list[dict[str, Any]]] = {network: [] for network in learnt}
    for record in records(folder):
        (network,) = (stage["artifact"] for stage in record["stages"] if stage["name"] == "finetune")
        verdicts[network].append(record["promotion"])
    for network, accepted in zip(learnt, (1, 1, 0), strict=True):
        assert sum(verdict["promoted"] for verdict in verdicts[network]) == accepted, verdicts[network]
    (refused,) = {reason for verdict in verdicts[learnt[2]] for reason in verdict["reasons"]}
    print(f"promoted: {verdicts[learnt[1]][0]['reasons'][0]}")
    print(f"refused:  {refused}")


def check_flow_runs(known: list[dict[str, Any]], recorded: list[str]) -> int:
    """Every time that was due is in Prefect once, done or left out, and what is done is recorded once; how many not."""
    while known[-1]["state_type"] == "SCHEDULED":
        known.pop()  # due after the schedule was stopped
    due = [datetime.fromisoformat(run["expected_start_time"]).timestamp() for run in known]
    assert {round(later - earlier) for earlier, later in pairwise(due)} == {EVERY}, due
    states = Counter(run["state_type"] for run in known)
    assert set(states) <= {"COMPLETED", "CANCELLED"}, states
    assert sorted(run["name"] for run in known if run["state_type"] == "COMPLETED") == sorted(recorded)
    return states["CANCELLED"]


def check_networks(folder: Path, learnt: list[str]) -> None:
    """The network whose run was killed is bit for bit the one that a run gives which nobody disturbs."""
    run = json.loads(nnpipe(folder, "run", "shades.yaml", "--engine", "local", "--store", "other", "--json"))
    (network,) = (stage["artifact"] for stage in run["stages"] if stage["name"] == "finetune")
    assert network == learnt[2]
    print("the killed run's network is bit for bit that of a run that nobody disturbs")


def networks(folder: Path) -> list[str]:
    """Every network in the order in which they were trained."""
    return trained(records(folder))


def champion(folder: Path) -> str:
    """The network that is in use."""
    return Store(folder / "artifacts").refs["shades/champion"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--where", type=Path, help="a folder for what is made, /dev/shm for one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.where) as name:
        main(Path(name), options.epochs, options.runs)
