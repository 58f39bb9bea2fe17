"""Make every n-th call that changes the disk fail, for every n and in every way, and look at the store each time.

After each fault the store must be sound, and an untouched run must come to the artifacts of a run without faults.

    python tests/reliability/sweeps/fault_sweep.py                  every n of the cheap graph
    python tests/reliability/sweeps/fault_sweep.py --graph real     every 25th of a spec with every training kind
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import cheap_graph
import children
from faults import DEAD, Faults, limit_file_size
from safetensors import SafetensorError
from soundness import problems

from nnpipe.errors import StageError
from nnpipe.store.store import Store

UNTOUCHED, TOLD, IGNORED, SWALLOWED = 0, 10, 11, 12
WORDS = {TOLD: "told as an error", IGNORED: "ignored, as it may be", DEAD: "died"}
LIMIT_STEP = 64  # bytes
KINDS = ("EIO", "ENOSPC", "kill", "power", "limit")
Graph = Callable[[Path], dict[str, str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", choices=["cheap", "real"], default="cheap")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=" ".join(KINDS))
    parser.add_argument("--stride", type=int, help="every how many calls (cheap: 1, real: 25)")
    parser.add_argument("--first", type=int, default=1, help="the first call that fails")
    parser.add_argument("--where", type=Path, help="folder for the stores (default: a temporary one)")
    parser.add_argument("--forget", metavar="NAME", help="power cuts take these files, flushed or not: must fail")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    stride = options.stride or (25 if options.graph == "real" else 1)
    graph, began, failures = _graph(options.graph), time.monotonic(), 0
    with tempfile.TemporaryDirectory(dir=options.where) as folder:
        expected = children.result(lambda: graph(Path(folder) / "expected"), Path(folder))
        for kind in options.kinds:
            sweep = Sweep(kind, graph, expected, Path(folder), options.forget)
            failures += sweep.run(options.first, stride)
    print(f"{failures} failures in {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


def _graph(name: str) -> Graph:
    if name == "cheap":
        return cheap_graph.run
    import real_graph

    real_graph.load()
    return real_graph.run


@dataclass
class Sweep:
    """One kind of fault in every place of one graph. ``expected``: the artifacts of a run without faults."""

    kind: Any
    graph: Graph
    expected: dict[str, str]
    folder: Path
    forget: str | None

    def run(self, first: int, stride: int) -> int:
        """Fail call ``first``, ``first + stride``... until a run does not come so far; how often it went wrong."""
        endings: Counter[int] = Counter()
        failures = 0
        for at in count(first, stride):
            home = self.folder / f"{self.kind}-{at}"
            home.mkdir()
            status = children.wait(children.start(partial(self._meet_fault, home, at)))
            if status == UNTOUCHED:
                break
            endings[status] += 1
            wrong = self._wrong(home / "artifacts", status)
            failures += bool(wrong)
            for problem in wrong:
                print(f"{self.kind} at call {at}: {problem}")
            shutil.rmtree(home)
        told = ", ".join(f"{number} {WORDS.get(status, f'status {status}')}" for status, number in endings.items())
        print(f"{self.kind}: {endings.total()} faults ({told}), {failures} with a problem", flush=True)
        return failures

    def _meet_fault(self, home: Path, at: int) -> None:
        """In a child: exits with what became of the fault."""
        faults = Faults(home, at, self.kind, self.forget)
        if self.kind == "limit":
            limit_file_size(at * LIMIT_STEP)
        else:
            faults.install()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        try:
            self.graph(home / "artifacts")
        except (OSError, StageError, RuntimeError, SafetensorError):  # an execution tells the last two as StageError
            os._exit(TOLD)
        if not faults.fired:
            os._exit(UNTOUCHED)
        os._exit(IGNORED if faults.ignorable else SWALLOWED)

    def _wrong(self, root: Path, status: int) -> list[str]:
        wrong = [] if status in WORDS else [f"ended with status {status}"]
        try:
            wrong += problems(Store(root))
            found = children.result(lambda: self.graph(root), self.folder)
            wrong += [
                f"{name} is {found[name]}, not {id_}" for name, id_ in self.expected.items() if found[name] != id_
            ]
            wrong += [f"after the next run: {problem}" for problem in problems(Store(root))]
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        return wrong


if __name__ == "__main__":
    sys.exit(main())
