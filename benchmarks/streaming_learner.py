"""A process that learns by turns from a file, or from all of it in memory: what ``benchmarks.streaming`` compares."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import hashlib
import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks.memory import sampled
from benchmarks.page_cache import read_once
from nnpipe.errors import Interrupted
from nnpipe.pipeline.memory import memory_for_examples
from nnpipe.stages.splits import examples_of, stored
from nnpipe.stages.work import Work
from nnpipe.store.arrays import ArrayFile, open_arrays
from nnpipe.store.artifact import Artifact

if TYPE_CHECKING:
    from nnpipe.training.examples import Examples

SHAPE, CLASSES = (1, 28, 28), 10
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
        read_once(path)

    def arrays(self, name: str) -> ArrayFile:
        return open_arrays(self.path)


def main() -> None:
    """Learn for a turn with each line that is read, and answer with a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", choices=("memory", "file"), help="where the examples are to be")
    parser.add_argument("path", type=Path)
    parser.add_argument("--limit-mb", type=int, default=0, help="of data in memory; 0: no limit")
    parser.add_argument("--network", choices=BATCHES, required=True)
    parser.add_argument("--shuffle", choices=("full", "blocks"), required=True)
    options = parser.parse_args()
    if options.limit_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (options.limit_mb * 10**6,) * 2)
    import torch

    from nnpipe.models.scaling import Scaling

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    memory = memory_for_examples("cpu") if options.place == "file" else sys.maxsize
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


if __name__ == "__main__":
    main()
