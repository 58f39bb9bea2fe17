"""One RBM of 784-500 units, nnpipe by CD-1 and scikit-learn's BernoulliRBM, in one process, turn by turn.

    python benchmarks/rbm.py [--epochs 5] [--images 60000] [--rounds 3] [--precision float32 | bfloat16]

Both learn from the same images, MNIST's from NNPIPE_DATA/mnist or scikit-learn's digits enlarged where there are none,
in batches of 100 with learning rate 0.05, without momentum or weight decay, on two cores. The chains of scikit-learn's
persist, about which it offers no choice; it takes as many products of matrices for a batch. The precision is that of
nnpipe's products; scikit-learn has float32 alone. Printed are the seconds of
whole trainings, their ratio, and the reconstruction errors at the end: squared, summed over pixels, mean over images,
up and down with probabilities for both. What else a machine does disturbs both: go by the best rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import time
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, get_args

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

from nnpipe.datasets.idx import open_idx
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.objective import SOME, Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.examples import Examples
from nnpipe.training.loop import fit
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

HIDDEN, BATCH, RATE = 500, 100, 0.05


class Silent:
    """Surroundings of a training loop in which nothing is kept and nobody listens."""

    stopping = Event()

    @property
    def checkpoints(self) -> Any:
        return self

    def load(self) -> None: ...
    def save(self, tensors: Any, document: Any) -> None: ...
    def due(self) -> bool:
        return False

    def epoch(self, record: Any, epochs: int) -> None: ...
    def advanced(self, done: int, total: int, measures: Any) -> None: ...


def images(count: int) -> tuple[str, np.ndarray]:
    """Where they are from, and (count, 784) float32 from 0 to 1."""
    for name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"):
        path = Path(os.environ.get("NNPIPE_DATA", "")) / "mnist" / name
        if path.is_file():
            first = next(open_idx(path, (3,)).blocks(count))
            return "MNIST", first.reshape(-1, 784).astype(np.float32) / 255
    digits = torch.tensor(load_digits().images[:, None], dtype=torch.float32) / 16
    large = torch.nn.functional.interpolate(digits, (28, 28), mode="bilinear").flatten(1).numpy()
    return "digits, enlarged", np.resize(large, (count, 784))


def nnpipe(x: np.ndarray, epochs: int, seed: int, precision: Precision) -> tuple[float, float]:
    """Seconds, and the reconstruction error afterwards."""
    examples = Examples(torch.from_numpy(x))
    started = time.perf_counter()
    seen = Visible((784,), examples.x.mean(0), examples.x.std(0), count=len(x), some=examples.x[:SOME])
    layer = Dense(units=HIDDEN, activation="sigmoid")
    objective = Rbm(weight_decay=0).objective(layer, None, seen, seed, precision)
    optimizer = Sgd(learning_rate=RATE).build(objective.module.parameters())
    fit(objective, optimizer, examples, None, Regime(epochs, BATCH), seed=seed, watch=Silent())
    seconds = time.perf_counter() - started
    machine = objective.module
    weight, bias, visible_bias = (p.detach().numpy() for p in (machine.weight, machine.bias, machine.visible_bias))
    return seconds, reconstruction_error(x, weight, bias, visible_bias)


def scikit_learn(x: np.ndarray, epochs: int, seed: int) -> tuple[float, float]:
    """Seconds, and the reconstruction error afterwards."""
    started = time.perf_counter()
    machine = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=epochs, random_state=seed).fit(x)
    seconds = time.perf_counter() - started
    weights = machine.components_, machine.intercept_hidden_, machine.intercept_visible_
    return seconds, reconstruction_error(x, *weights)


def reconstruction_error(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, visible_bias: np.ndarray) -> float:
    """By NumPy for both. weight: (hidden, visible)."""
    hidden = 1 / (1 + np.exp(-(x @ weight.T + bias)))
    visible = 1 / (1 + np.exp(-(hidden @ weight + visible_bias)))
    return float(np.square(visible - x).sum(1).mean())


def main() -> None:
    """Take turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=60000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    options = parser.parse_args()
    source, x = images(options.images)
    print(f"{len(x)} images ({source}), {options.epochs} epochs, {torch.get_num_threads()} threads")
    learners = (partial(nnpipe, precision=options.precision), scikit_learn)
    for learn in learners:  # what is imported and allocated once counts for neither
        learn(x[: 2 * BATCH], 1, 0)
    rounds = []
    for turn in range(options.rounds):
        (ours, our_error), (theirs, their_error) = (learn(x, options.epochs, turn) for learn in learners)
        rounds.append((ours, theirs))
        times = f"nnpipe {ours:.1f} s, scikit-learn {theirs:.1f} s, ratio {theirs / ours:.2f}"
        print(f"round {turn + 1}: {times}; reconstruction errors {our_error:.2f} and {their_error:.2f}", flush=True)
    ours, theirs = (min(seconds) for seconds in zip(*rounds, strict=True))
    print(f"best rounds: nnpipe {ours:.1f} s, scikit-learn {theirs:.1f} s, ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
