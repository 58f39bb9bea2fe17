"""A denoising autoencoder of 784-1000 units: nnpipe beside the same by hand in PyTorch.

Both mask a tenth of the values, have tied weights and sigmoid units, make the cross-entropy small, summed over values
and mean over the batch, by gradient descent at 0.02 on batches of 20, and add up loss and squared error as they go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.data import images
from benchmarks.measure import Options, Result, Turn, take_turns
from benchmarks.rbm import Lesson, flat
from benchmarks.training import compared, learn
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.objective import SOME, LayerObjective, Visible, logit_bias
from nnpipe.training.examples import Examples
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

ROUNDS = 5
HIDDEN, BATCH, RATE, MASKED = 1000, 20, 0.02, 0.1
OURS: tuple[Precision, ...] = ("float32", "bfloat16")
BY_HAND = "the same by hand in PyTorch, float32"


def run(options: Options) -> Result:
    """On the CPU, one epoch a round, from new weights each time."""
    count = 200 if options.quick else 20_000
    found = images("train", count)
    lesson = Lesson(flat(found), 1)
    competitors: dict[str, Callable[[Lesson, int], Turn]] = {name: partial(nnpipe, precision=name) for name in OURS}
    competitors[BY_HAND] = by_hand
    for learn_it in competitors.values():
        learn_it(Lesson(lesson.x[: 5 * BATCH], 1), 0)
    works = {name: partial(work, lesson) for name, work in competitors.items()}
    turns = take_turns(works, options.rounds_or(ROUNDS))
    work = f"a denoising autoencoder of 784-{HIDDEN}"
    rows = compared(work, turns, OURS, {BY_HAND: 1.3}, "reconstruction error")
    about = f"{count:,} {found.source}, batch {BATCH}, one epoch a round; torch on {torch.get_num_threads()} threads"
    return Result(f"{about}. A short training of each is not counted.", tuple(rows))


def prepared(lesson: Lesson, seed: int, precision: Precision) -> tuple[LayerObjective, Examples]:
    """What nnpipe's loop is handed by the stage that pretrains."""
    examples = Examples(torch.from_numpy(lesson.x))
    seen = Visible((784,), examples.x.mean(0), examples.x.std(0), count=len(examples), some=examples.x[:SOME])
    method = Autoencoder(corruption="masking", level=MASKED)
    return method.objective(Dense(units=HIDDEN, activation="sigmoid"), None, seen, seed, precision), examples


def nnpipe(lesson: Lesson, seed: int, precision: Precision) -> Turn:
    """As the stage ``pretrain/1`` trains it."""
    objective, examples = prepared(lesson, seed, precision)
    optimizer = Sgd(learning_rate=RATE).build(objective.module.parameters())
    started = time.perf_counter()
    learn(objective, optimizer, examples, Regime(lesson.epochs, BATCH), seed)
    seconds = time.perf_counter() - started
    machine = dict(objective.module.named_parameters())
    return lesson.turn(seconds, *(machine[n].detach().numpy() for n in ("weight", "bias", "visible_bias")))


def by_hand(lesson: Lesson, seed: int) -> Turn:
    """What one writes who knows PyTorch."""
    torch.manual_seed(seed)
    x = torch.from_numpy(lesson.x)
    weight = torch.empty(HIDDEN, x.shape[1]).requires_grad_()
    torch.nn.init.xavier_uniform_(weight)
    bias = torch.zeros(HIDDEN, requires_grad=True)
    visible_bias = logit_bias(x.mean(0)).requires_grad_()
    optimizer = torch.optim.SGD([weight, bias, visible_bias], lr=RATE)
    started = time.perf_counter()
    total, error = torch.zeros(()), torch.zeros(())
    for indices in torch.randperm(len(x)).split(BATCH):
        batch = x[indices]
        optimizer.zero_grad()
        logits = _decoded(batch * (torch.rand_like(batch) >= MASKED), weight, bias, visible_bias)
        loss = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        (loss / len(batch)).backward()
        optimizer.step()
        with torch.no_grad():
            total += loss
            error += F.mse_loss(logits.sigmoid(), batch, reduction="sum")
    seconds = time.perf_counter() - started
    weights: list[np.ndarray] = [tensor.detach().numpy() for tensor in (weight, bias, visible_bias)]
    return lesson.turn(seconds, *weights)


def _decoded(seen: Tensor, weight: Tensor, bias: Tensor, visible_bias: Tensor) -> Tensor:
    return F.linear(F.linear(seen, weight, bias).sigmoid(), weight.T, visible_bias)
