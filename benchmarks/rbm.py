"""One RBM of 784-500 units by contrastive divergence: nnpipe beside scikit-learn's BernoulliRBM and the package rbms.

All learn from the same images in batches of 100 with learning rate 0.05, without momentum or weight decay. The chains
of scikit-learn's persist, about which it offers no choice; it takes as many products of matrices for a batch. rbms
scales every gradient to length 1, about which it offers none either; its own loop writes to a file at each step, so
its functions are called from a plain loop. Both have float32 alone. The reconstruction error at the end is squared,
summed over pixels, mean over images, up and down with probabilities, computed by NumPy for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM

from benchmarks.data import Images, images
from benchmarks.measure import Options, Result, Turn, take_turns
from benchmarks.training import compared, finish, learn
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.objective import SOME, LayerObjective, Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.examples import Examples
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

ROUNDS = 5
HIDDEN, BATCH, RATE = 500, 100, 0.05
OURS: tuple[Precision, ...] = ("float32", "bfloat16")
SCIKIT_LEARN, RBMS = "scikit-learn BernoulliRBM", "rbms"


@dataclass(frozen=True)
class Lesson:
    """x: (images, 784) float32 from 0 to 1."""

    x: np.ndarray
    epochs: int
    device: str = "cpu"

    def turn(self, seconds: float, weight: np.ndarray, bias: np.ndarray, visible_bias: np.ndarray) -> Turn:
        """Images a second, and the reconstruction error. weight: (hidden, visible)."""
        x = self.x[:10_000]
        hidden = 1 / (1 + np.exp(-(x @ weight.T + bias)))
        visible = 1 / (1 + np.exp(-(hidden @ weight + visible_bias)))
        error = float(np.square(visible - x).sum(1).mean())
        return Turn(len(self.x) * self.epochs / seconds, error)


def run(options: Options) -> Result:
    """On the CPU, from new weights each round."""
    count, epochs = (400, 1) if options.quick else (60_000, 2)
    found = images("train", count)
    turns = contest(Lesson(flat(found), epochs), options.rounds_or(ROUNDS))
    targets = {SCIKIT_LEARN: 2.0, RBMS: 2.0}
    rows = compared(f"an RBM of 784-{HIDDEN} by CD-1", turns, OURS, targets, "reconstruction error")
    about = f"{count:,} {found.source}, batch {BATCH}, epochs {epochs}; torch on {torch.get_num_threads()} threads"
    return Result(f"{about}. A short training of each is not counted.", tuple(rows))


def flat(found: Images) -> np.ndarray:
    """(images, 784) float32 from 0 to 1."""
    scaled: np.ndarray = found.x.reshape(len(found.x), -1).astype(np.float32) / 255
    return scaled


def contest(lesson: Lesson, rounds: int) -> dict[str, list[Turn]]:
    """Ours in both precisions, and the peers that are there and know the device."""
    competitors: dict[str, Callable[[Lesson, int], Turn]] = {name: partial(nnpipe, precision=name) for name in OURS}
    if lesson.device == "cpu":
        competitors[SCIKIT_LEARN] = scikit_learn
    if find_spec("rbms"):
        competitors[RBMS] = rbms
    for learn_it in competitors.values():
        learn_it(Lesson(lesson.x[: 2 * BATCH], 1, lesson.device), 0)
    return take_turns({name: partial(work, lesson) for name, work in competitors.items()}, rounds)


def prepared(lesson: Lesson, seed: int, precision: Precision) -> tuple[LayerObjective, Examples]:
    """What nnpipe's loop is handed by the stage that pretrains."""
    examples = Examples(torch.from_numpy(lesson.x).to(lesson.device))
    seen = Visible((784,), examples.x.mean(0), examples.x.std(0), count=len(examples), some=examples.x[:SOME])
    layer = Dense(units=HIDDEN, activation="sigmoid")
    return Rbm(weight_decay=0).objective(layer, None, seen, seed, precision), examples


def nnpipe(lesson: Lesson, seed: int, precision: Precision) -> Turn:
    """As the stage ``pretrain/1`` trains it."""
    objective, examples = prepared(lesson, seed, precision)
    optimizer = Sgd(learning_rate=RATE).build(objective.module.parameters())
    started = time.perf_counter()
    learn(objective, optimizer, examples, Regime(lesson.epochs, BATCH), seed)
    seconds = time.perf_counter() - started
    machine = dict(objective.module.named_parameters())
    return lesson.turn(seconds, *(machine[n].detach().cpu().numpy() for n in ("weight", "bias", "visible_bias")))


def scikit_learn(lesson: Lesson, seed: int) -> Turn:
    """As it comes."""
    machine = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=lesson.epochs, random_state=seed)
    started = time.perf_counter()
    machine.fit(lesson.x)
    seconds = time.perf_counter() - started
    return lesson.turn(seconds, machine.components_, machine.intercept_hidden_, machine.intercept_visible_)


@torch.no_grad()
def rbms(lesson: Lesson, seed: int) -> Turn:
    """Its loop for training_type cd, one step, not centered; without the files."""
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    torch.manual_seed(seed)
    x = torch.from_numpy(lesson.x).to(lesson.device)
    machine = BBRBM.init_parameters(HIDDEN, SimpleNamespace(data=x), x.device, x.dtype)
    optimizer = torch.optim.SGD(machine.parameters(), lr=RATE, maximize=True)
    machine.init_grad()
    started = time.perf_counter()
    for _ in range(lesson.epochs):
        for indices in torch.randperm(len(x)).to(x.device).split(BATCH):
            batch = x[indices], torch.ones(len(indices), 1, device=x.device)
            chains = machine.init_chains(len(indices), weights=batch[1], start_v=batch[0])
            optimizer.zero_grad(set_to_none=False)
            fit_batch_pcd(batch, chains, machine, gibbs_steps=1, beta=1.0, centered=False)
            optimizer.step()
    finish(x.device)
    seconds = time.perf_counter() - started
    weights = machine.weight_matrix.T, machine.hbias, machine.vbias
    return lesson.turn(seconds, *(tensor.cpu().numpy() for tensor in weights))
