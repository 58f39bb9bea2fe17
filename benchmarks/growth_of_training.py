"""How the cost of training grows: with the number of images, the width and the depth of a dense network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from benchmarks.data import images
from benchmarks.measure import Options, Result, Table, Turn, figures, number, spread, take_turns
from benchmarks.training import learn
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.algorithms.algorithm import Learning
from nnpipe.training.algorithms.backpropagation import Backpropagation
from nnpipe.training.examples import Examples
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime

ROUNDS = 3
BATCH, WIDTH, DEPTH, IMAGES = 100, 256, 1, 10_000
COUNTS, WIDTHS, DEPTHS = (1_000, 4_000, 16_000, 60_000), (64, 256, 1024, 4096), (1, 2, 4, 8, 16)
QUICK = 300  # images at most
CLASSES = tuple("0123456789")


def run(options: Options) -> Result:
    """784-256-10 in batches of 100, and one thing made larger at a time."""
    most = QUICK if options.quick else max(COUNTS)
    found = images("train", most)
    examples = Examples(torch.from_numpy(found.x).unsqueeze(1), torch.from_numpy(found.y), Scaling(scale=255.0))
    usual, rounds = min(IMAGES, most), options.rounds_or(ROUNDS)
    counts = sorted({min(count, most) for count in COUNTS})
    tables = (
        _table("images", {count: (count, WIDTH, DEPTH) for count in counts}, examples, rounds),
        _table("units of the hidden layer", {width: (usual, width, DEPTH) for width in WIDTHS}, examples, rounds),
        _table("hidden layers", {depth: (usual, WIDTH, depth) for depth in DEPTHS}, examples, rounds),
    )
    about = (
        f"One epoch of 784-{WIDTH}-10, ReLU, gradient descent, batch {BATCH}, {usual:,} {found.source}, but for what"
    )
    return Result(f"{about} a table makes larger; torch on {torch.get_num_threads()} threads.", tables=tables)


def _table(what: str, sizes: Mapping[int, tuple[int, int, int]], examples: Examples, rounds: int) -> Table:
    """sizes: what is told -> images, width, depth."""
    works: dict[str, Callable[[int], Turn]] = {f"{size:,}": partial(_epoch, examples, *sizes[size]) for size in sizes}
    _epoch(examples, BATCH, WIDTH, DEPTH, 0)  # what torch does once is not counted
    turns = take_turns(works, rounds)
    cells = []
    for size, (told, own) in zip(sizes, turns.items(), strict=True):
        count, width, depth = sizes[size]
        taken = figures(own)
        flops = 6 * _weights(width, depth) * count / min(taken)  # forward, and twice as much back
        cells.append((told, spread(taken, "s"), number(count / min(taken)), number(flops / 1e9)))
    columns = (what, "seconds", "images/s, best round", "GFLOP/s, best round")
    return Table(f"Training time by {what}", columns, tuple(cells))


def _weights(width: int, depth: int) -> int:
    return 784 * width + (depth - 1) * width * width + width * len(CLASSES)


def _epoch(examples: Examples, count: int, width: int, depth: int, seed: int) -> Turn:
    hidden = [{"kind": "dense", "units": width, "activation": "relu"}] * depth
    layers = [{"kind": "flatten"}, *hidden, {"kind": "dense", "units": len(CLASSES), "activation": "softmax"}]
    model = Model.model_validate({"layers": layers})
    scaling, generator = Scaling(scale=255.0), torch.Generator().manual_seed(seed)
    network = Network(model, (1, 28, 28), scaling, CLASSES, generator)
    assert examples.y is not None
    some = Examples(examples.x[:count], examples.y[:count], scaling)
    objective = Backpropagation().objective(Learning(network, CrossEntropy(), "float32", some, (), seed))
    optimizer = Sgd(learning_rate=0.01).build(objective.module.parameters())
    started = time.perf_counter()
    learn(objective, optimizer, some, Regime(1, BATCH), seed)
    return Turn(time.perf_counter() - started)
