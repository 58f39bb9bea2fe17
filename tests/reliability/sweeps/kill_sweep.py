"""Kill a real run at random moments, again and again, and look at the store each time.

A lap is one store: its run is killed and started again until it completes, and must then have the artifacts, bit for
bit, of a run that nobody interrupted. Laps follow each other until there were enough kills. Children are forked from a
process that has imported everything: each is a process of its own, and dies by SIGKILL.

    python tests/reliability/sweeps/kill_sweep.py --kills 200
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import children
import real_graph
from soundness import problems

from nnpipe.store.store import Store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--spec", action="append", choices=[*real_graph.SPECS], help="(default: rbm and autoencoder)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--longest", type=float, default=1.5, metavar="SECONDS", help="that a process may live")
    parser.add_argument("--where", type=Path, help="folder for the stores (default: a temporary one)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    began, moments = time.monotonic(), random.Random(options.seed)
    real_graph.load()
    with tempfile.TemporaryDirectory(dir=options.where) as folder:
        sweep = Sweep(Path(folder), options.spec or list(real_graph.DEFAULT))
        print(f"uninterrupted: {sweep.seconds:.1f} s, {len(sweep.expected)} stages", flush=True)
        while sweep.kills < options.kills:
            sweep.lap(moments, options.longest, options.kills)
    took = time.monotonic() - began
    print(
        f"{sweep.kills} kills in {sweep.laps} laps, {sweep.resumed} with a checkpoint to go on from, "
        f"{sweep.failures} failures, {took:.0f} s"
    )
    print("killed at: " + ", ".join(f"{stage} {count}" for stage, count in sweep.places.most_common()))
    return 1 if sweep.failures else 0


class Sweep:
    """The counts of a sweep, and what an uninterrupted run gives."""

    def __init__(self, folder: Path, specs: list[str]) -> None:
        self.folder, self.specs = folder, specs
        began = time.monotonic()
        self.expected: dict[str, str] = children.result(lambda: real_graph.run(folder / "expected", specs), folder)
        self.seconds = time.monotonic() - began
        self.kills = self.laps = self.failures = self.resumed = 0
        self.places: Counter[str] = Counter()

    def lap(self, moments: random.Random, longest: float, most: int) -> None:
        """Kill until a run completes, or there were ``most`` kills and the last run may complete."""
        root = self.folder / "artifacts"
        while True:
            child = children.start(lambda: real_graph.run(root, self.specs))
            life = moments.uniform(0, longest) if self.kills < most else 600.0
            status = children.wait_or_kill(child, life)
            if status == 0:
                break
            self.kills += 1
            self._judge([f"ended with status {status}"] if status != children.KILLED else [])
            self._judge(problems(Store(root)))
            self._note_place(root)
        found = children.result(lambda: real_graph.run(root, self.specs), self.folder)
        self._judge(
            [f"{name} is not that of an uninterrupted run" for name in found if found[name] != self.expected[name]]
        )
        self._judge(problems(Store(root)))
        left = list((root / "work").glob("*/*"))
        self._judge([f"left behind: {path}" for path in left])
        self.laps += 1
        shutil.rmtree(root)

    def _note_place(self, root: Path) -> None:
        store = Store(root)
        done = len(list(store.records())) if root.exists() else 0
        made_first: dict[str, str] = {}  # the data are one artifact of both specs
        for name, artifact in self.expected.items():
            made_first.setdefault(artifact, name)
        self.places[[*made_first.values(), "the end"][done]] += 1
        self.resumed += any((root / "work").glob("*/checkpoint-*"))

    def _judge(self, wrong: list[str]) -> None:
        self.failures += bool(wrong)
        for problem in wrong:
            print(f"after kill {self.kills}: {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
