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

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import hashlib
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nnpipe.errors import Interrupted
from nnpipe.pipeline.memory import memory_for_examples
from nnpipe.stages.splits import examples_of, stored
from nnpipe.stages.work import Work
from nnpipe.store.array_writer import ArrayWriter
from nnpipe.store.arrays import SUFFIXES, ArrayFile, open_arrays
from nnpipe.store.artifact import Artifact

if TYPE_CHECKING:
    from nnpipe.training.examples import Examples

SHAPE, CLASSES, BLOCK = (1, 28, 28), 10, 100_000
LAYERS: dict[str, list[dict[str, Any]]] = {
    "dense": [
        {"kind": "dense", "units": 500, "activation": "relu"},
        {"kind": "dense", "units": 500, "activation": "relu"},
        {"kind": "dense", "units": CLASSES, "activation": "softmax"},
    ],
    "convolutional": [
        {"kind": "conv2d", "filters": 32, "kernel": 5, "activation": "relu"},
        {"kind": "conv2d", "filters": 32, "kernel": 5, "activation": "relu"},
        {"kind": "max_pool2d", "size": 2},
        {"kind": "flatten"},
        {"kind": "dense", "units": 128, "activation": "relu"},
        {"kind": "dense", "units": CLASSES, "activation": "softmax"},
    ],
}
BATCHES = {"rbm": 100, "dense": 100, "convolutional": 32}
COMPARED = 2000  # batches after which weights are compared


class Watch:
    """Surroundings of a training loop that stop it after so many batches or seconds; nothing is kept."""

    def __init__(self, seconds: float, batches: int) -> None:
        self.until, self.left, self.batches = time.perf_counter() + seconds, batches, 0

    @property
    def checkpoints(self) -> Any:
        return self

    @property
    def stopping(self) -> Any:
        return self

    def is_set(self) -> bool:
        self.batches += 1
        return self.batches >= self.left or time.perf_counter() >= self.until

    def due(self) -> bool:
        return False

    def load(self) -> None: ...
    def save(self, tensors: Any, document: Any) -> None: ...
    def epoch(self, record: Any, epochs: int) -> None: ...
    def advanced(self, done: int, total: int, measures: Any) -> None: ...


class File:
    """A file as an artifact that is verified, which reads it once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for file in files_of(path):
            with open(file, "rb") as opened:
                hashlib.file_digest(opened, "sha256")

    def arrays(self, name: str) -> ArrayFile:
        return open_arrays(self.path)


def files_of(path: Path) -> list[Path]:
    """The file, or those of a folder."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


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


# -- the process that learns ---------------------------------------------------------------------------------


def learner(options: argparse.Namespace) -> None:
    """Learn for a turn with each line that is read, and answer with a line."""
    if options.limit_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (options.limit_mb * 10**6,) * 2)
    import torch

    from nnpipe.models.scaling import Scaling

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    memory = memory_for_examples("cpu") if options.learner == "file" else sys.maxsize
    work = Work("", {}, cast(Any, None), 0, Path(), cast(Any, None), memory=memory)
    rows = stored(cast(Artifact, File(options.path)), "", "X")
    try:
        examples = examples_of(rows, stored(rows.artifact, "", "y").whole(), Scaling(scale=255.0), work)
    except MemoryError as error:
        print(json.dumps({"kept": f"{type(error).__name__}: {error}"}), flush=True)
        return
    print(json.dumps({"kept": type(examples).__name__, "memory": memory}), flush=True)
    for line in sys.stdin:
        print(json.dumps(turn(options, examples, *json.loads(line))), flush=True)


def turn(options: argparse.Namespace, examples: Examples, seconds: float, batches: int) -> dict[str, Any]:
    """Learn for some seconds, at most so many batches, from the beginning.

    rate: images a second. busy: processor seconds an image. memory: the most anonymous memory, in bytes. weights: their
    digest.
    """
    from nnpipe.training.loop import fit
    from nnpipe.training.regime import Regime
    from nnpipe.training.shuffles.blocks import Blocks
    from nnpipe.training.shuffles.full import Full

    objective, optimizer = learning(options.network, examples)
    regime = Regime(1, BATCHES[options.network], shuffle=Blocks() if options.shuffle == "blocks" else Full())
    watch = Watch(seconds, batches)
    with sampled() as memory, suppress(Interrupted):
        started, busy = time.perf_counter(), time.process_time()
        fit(objective, optimizer, examples, None, regime, seed=0, watch=watch)
    wall, busy = time.perf_counter() - started, time.process_time() - busy
    count = watch.batches * BATCHES[options.network]
    weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in objective.module.parameters())).hexdigest()
    return {"rate": count / wall, "busy": busy / count, "memory": max(memory), "weights": weights}


def learning(network: str, examples: Any) -> tuple[Any, Any]:
    """What is learned, and the optimizer."""
    import torch

    from nnpipe.models.architecture import Model
    from nnpipe.models.layers.dense import Dense
    from nnpipe.models.network import Network
    from nnpipe.models.scaling import Scaling
    from nnpipe.pretraining.objective import SOME, Visible
    from nnpipe.pretraining.rbm import Rbm
    from nnpipe.training.classification import Classification
    from nnpipe.training.losses.cross_entropy import CrossEntropy
    from nnpipe.training.optimizers.adam import Adam
    from nnpipe.training.optimizers.sgd import Sgd

    if network == "rbm":
        some = examples.rows(0, SOME)[0].flatten(1)
        seen = Visible((some.shape[1],), some.mean(0), some.std(0), count=len(examples), some=some)
        rbm = Rbm().objective(Dense(units=500, activation="sigmoid"), None, seen, 0, "float32")
        return rbm, Sgd(learning_rate=0.05).build(rbm.module.parameters())
    names = [str(label) for label in range(CLASSES)]
    model = Model.model_validate({"layers": LAYERS[network]})
    made = Network(model, SHAPE, Scaling(), names, torch.Generator().manual_seed(0)).place("cpu")
    return Classification(made, CrossEntropy()), Adam().build(made.parameters())


@contextmanager
def sampled() -> Iterator[list[int]]:
    """Anonymous memory of this process, in bytes, ten times a second."""
    found, over = [anonymous()], Event()

    def watch() -> None:
        while not over.wait(0.1):
            found.append(anonymous())

    thread = Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def anonymous() -> int:
    """Bytes of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024


# -- the process that measures -------------------------------------------------------------------------------


class Learner:
    """A process that learns, seen from the one that measures. kept: how it has the examples, or why it cannot."""

    def __init__(self, options: argparse.Namespace, path: Path, place: str, limit_mb: int) -> None:
        words = {"learner": place, "path": path, "limit-mb": limit_mb}
        words |= {"network": options.network, "shuffle": options.shuffle}
        command = [sys.executable, __file__, *(f"--{name}={value}" for name, value in words.items())]
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


@contextmanager
def dropped(path: Path, *, cold: bool) -> Iterator[None]:
    """Meanwhile the page cache forgets what lies at ``path``, every second, if it is to be ``cold``."""
    over = Event()

    def forget() -> None:
        while not over.wait(1):
            for file in files_of(path):
                with open(file, "rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    thread = Thread(target=forget)
    if cold:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if cold:
            thread.join()


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
    parser.add_argument("--learner", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learner:
        learner(options)
    elif options.write:
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
