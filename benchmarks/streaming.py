"""Training from a file larger than the memory of the process, beside the same training with all of it in memory.

    python -m benchmarks.streaming [--network rbm | dense | convolutional] [--format hdf5 | zarr] [--images 2800000]
                                   [--shuffle full | blocks] [--limit-mb 1500] [--seconds 20] [--rounds 3] [--cold]

A file of made-up images, 28x28 bytes each, is written into a temporary folder. Two processes learn from it by turns,
for some seconds each, from the beginning of an epoch: one has read the whole of it, the other may have no more data in
memory than the limit (``setrlimit(RLIMIT_DATA)``); a third one shows that the whole cannot be read there. Before that,
both learn from the same number of batches, and their weights are compared.

Printed are images a second and processor time an image, of the best turns, and their ratios; and the most anonymous
memory that the process under the limit had in each turn. --cold: each second the page cache forgets the file.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page_cache import dropped
from benchmarks.streaming_learner import BATCHES, CLASSES, SHAPE
from nnpipe.store.array_writer import ArrayWriter
from nnpipe.store.arrays import SUFFIXES

BLOCK = 100_000  # images that are made up at a time
COMPARED = 2000  # batches after which weights are compared


def write(path: Path, form: Any, count: int) -> None:
    """``X``: made-up images, four fifths of the pixels black; ``y``: labels that they tell."""
    draws = np.random.default_rng(0)
    with ArrayWriter(path, form) as writer:
        writer.allocate("X", (count, *SHAPE), np.uint8)
        writer.allocate("y", (count,), np.int64)
        for start in range(0, count, BLOCK):
            images = draws.integers(0, 256, (min(BLOCK, count - start), *SHAPE), dtype=np.uint8)
            images[draws.random(images.shape, np.float32) < 0.8] = 0
            writer.append("X", images)
            writer.append("y", images.reshape(len(images), -1)[:, :CLASSES].argmax(1).astype(np.int64))


class Learner:
    """A process that learns, seen from the one that measures. kept: how it has the examples, or why it cannot."""

    def __init__(self, options: argparse.Namespace, path: Path, place: str, limit_mb: int) -> None:
        command = [sys.executable, "-m", "benchmarks.streaming_learner", place, str(path), f"--limit-mb={limit_mb}"]
        command += [f"--network={options.network}", f"--shuffle={options.shuffle}"]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.kept = self._read()["kept"]

    def turn(self, seconds: float, batches: int = sys.maxsize) -> dict[str, Any]:
        assert self.process.stdin
        print(json.dumps([seconds, batches]), file=self.process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        self.process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a process that learned ended with status {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def measure(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Take turns; what came out of the best, and of both together."""
    places = {"memory": Learner(options, path, "memory", 0), "file": Learner(options, path, "file", options.limit_mb)}
    refused = Learner(options, path, "memory", options.limit_mb)
    refused.close()
    weights = {place: learner.turn(math.inf, COMPARED)["weights"] for place, learner in places.items()}
    turns: dict[str, list[dict[str, Any]]] = {place: [] for place in places}
    for number in range(options.rounds):
        for place, learner in places.items():
            with dropped(path, cold=options.cold and place == "file"):
                turns[place].append(learner.turn(options.seconds))
        told = (f"{place} {found[-1]['rate']:.0f} images/s" for place, found in turns.items())
        print(f"round {number + 1}: {', '.join(told)}", flush=True)
    for learner in places.values():
        learner.close()
    best = {place: max(turn["rate"] for turn in found) for place, found in turns.items()}
    busy = {place: min(turn["busy"] for turn in found) for place, found in turns.items()}
    return {
        "whole_under_limit": refused.kept,
        "kept_under_limit": places["file"].kept,
        "images_per_second": best,
        "ratio": best["file"] / best["memory"],
        "processor_seconds_per_image": busy,
        "processor_ratio": busy["file"] / busy["memory"],
        "anonymous_megabytes": [turn["memory"] // 10**6 for turn in turns["file"]],
        "same_weights": weights["memory"] == weights["file"],
    }


def main() -> None:
    """Take turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=BATCHES, default="dense")
    parser.add_argument("--format", choices=("hdf5", "zarr"), default="hdf5")
    parser.add_argument("--shuffle", choices=("full", "blocks"), default="full")
    parser.add_argument("--images", type=int, default=2_800_000)
    parser.add_argument("--limit-mb", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--path", type=Path, help="a file that an earlier call was told to write")
    parser.add_argument("--write", type=Path, help="only write a file, of the format and the number of images")
    options = parser.parse_args()
    if options.write:
        write(options.write, options.format, options.images)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = options.path or Path(folder) / f"data{SUFFIXES[options.format]}"
            if not options.path:
                write(path, options.format, options.images)
            for name, value in measure(options, path).items():
                print(f"{name}: {value}")


if __name__ == "__main__":
    main()
