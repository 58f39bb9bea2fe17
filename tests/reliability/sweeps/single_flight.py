"""Many processes that want one artifact at one moment: it is computed once; a killed owner is replaced.

python tests/reliability/sweeps/single_flight.py --processes 16
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import children
from cheap_graph import fill, open_store
from soundness import problems

from nnpipe.store.canonical import digest

RECIPE = {"stage": "model", "inputs": {}, "seed": 0}
KEY = digest("nnpipe/recipe/1", RECIPE)
SOON = 2.0  # seconds in which a killed owner is replaced


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    failures = 0
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            computed, statuses = together(Path(folder), options.processes)
            failures += computed != 1 or any(statuses)
            print(f"{options.processes} processes computed {computed} time, statuses {sorted(set(statuses))}")
        with tempfile.TemporaryDirectory() as folder:
            seconds = replacement(Path(folder), options.processes)
            failures += seconds > SOON
            print(f"a killed owner was replaced after {seconds:.3f} s")
    return 1 if failures else 0


def together(folder: Path, processes: int) -> tuple[int, list[int]]:
    """Start all at once; how often it was computed, and how each ended."""
    waiting = [children.start(lambda: obtain(folder, lambda: time.sleep(0.2))) for _ in range(processes)]
    (folder / "go").touch()
    statuses = [children.wait(child) for child in waiting]
    assert problems(open_store(folder / "artifacts")) == []
    return len(list(folder.glob("computed-*"))), statuses


def replacement(folder: Path, processes: int) -> float:
    """Kill the owner while others wait; seconds until one of them is at work."""
    (folder / "go").touch()
    owner = children.start(lambda: obtain(folder, lambda: time.sleep(600)))
    _wait_for(folder, 1)
    others = [children.start(lambda: obtain(folder, lambda: None)) for _ in range(processes - 1)]
    time.sleep(0.3)  # until they wait
    os.kill(owner, signal.SIGKILL)
    began = time.monotonic()
    _wait_for(folder, 2)
    seconds = time.monotonic() - began
    statuses = [children.wait(child) for child in others]
    assert children.wait(owner) == children.KILLED
    assert not any(statuses)
    assert len(list(folder.glob("computed-*"))) == 2
    return seconds


def obtain(folder: Path, work: Callable[[], object]) -> None:
    """Find the artifact or compute it; a file tells that it was computed."""
    while not (folder / "go").exists():
        time.sleep(0.001)
    store = open_store(folder / "artifacts")
    if store.find(KEY):
        return
    with store.lock(KEY):
        if store.find(KEY):
            return
        with store.output(KEY) as output:
            (folder / f"computed-{os.getpid()}").touch()
            work()
            fill(output, RECIPE)
            store.commit(output, KEY, "model", RECIPE, {})


def _wait_for(folder: Path, count: int) -> None:
    while len(list(folder.glob("computed-*"))) < count:
        time.sleep(0.001)


if __name__ == "__main__":
    sys.exit(main())
