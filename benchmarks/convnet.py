"""The lecture's network, specs/mnist_convnet.yaml: nnpipe beside Keras on torch, and beside a plain PyTorch loop.

All learn from the same images in batches of 32, by Adam at 0.001 with epsilon 1e-7, and add up loss and accuracy as
they go. Only training is timed; the accuracy on test images is taken afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import ROOT
from benchmarks.data import Images, images
from benchmarks.measure import Options, Result, Turn, take_turns
from benchmarks.training import compared, finish, learn
from nnpipe import api
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.training.algorithms.algorithm import Learning
from nnpipe.training.examples import Examples
from nnpipe.training.objective import Objective
from nnpipe.training.precision import Precision
from nnpipe.training.train import Train

ROUNDS = 5
BATCH, RATE, EPSILON = 32, 0.001, 1e-7  # of the spec; the last is Keras's own
KERAS, PLAIN = "Keras 3 on torch", "plain PyTorch loop, float32"
OURS: tuple[Precision, ...] = ("float32", "bfloat16")
SHAPE, SCALE, CLASSES = (1, 28, 28), 255.0, tuple("0123456789")
TESTED = 500  # test images at a time


@dataclass(frozen=True)
class Lesson:
    """What all competitors learn, how long, and where."""

    train: Images
    test: Images
    epochs: int = 1
    device: str = "cpu"

    def first(self, count: int) -> Lesson:
        """The same with few images: what is imported, allocated or tuned once counts for nobody."""
        return replace(self, train=self.train._replace(x=self.train.x[:count], y=self.train.y[:count]), epochs=1)

    def turn(self, seconds: float, classes: Callable[[Any], Any]) -> Turn:
        """Images a second, and the accuracy. classes: of (count, 28, 28) uint8 images, (count,) integers."""
        x, y = self.test.x, torch.from_numpy(self.test.y)
        found = [torch.as_tensor(classes(x[start : start + TESTED])) for start in range(0, len(x), TESTED)]
        accuracy = (torch.cat(found).cpu() == y).float().mean().item()
        return Turn(len(self.train.x) * self.epochs / seconds, accuracy)


def run(options: Options) -> Result:
    """On the CPU, one epoch a round, from new weights each time."""
    train, test = (200, 100) if options.quick else (20_000, 2_000)
    lesson = Lesson(images("train", train), images("test", test))
    turns = contest(lesson, options.rounds_or(ROUNDS))
    work = "training the lecture's network"
    rows = compared(work, turns, OURS, {KERAS: 2.5, PLAIN: 1.8}, "test accuracy")
    about = f"{train:,} {lesson.train.source}, batch {BATCH}, one epoch a round from new weights, Adam"
    told = f"{test:,} test images; torch on {torch.get_num_threads()} threads"
    return Result(f"{about}; {told}. A short training of each is not counted.", tuple(rows))


def contest(lesson: Lesson, rounds: int) -> dict[str, list[Turn]]:
    """Ours in both precisions, the plain loop, and Keras where it is installed."""
    competitors: dict[str, Callable[[Lesson, int], Turn]] = {name: partial(nnpipe, precision=name) for name in OURS}
    competitors[PLAIN] = plain
    if find_spec("keras"):
        competitors[KERAS] = keras
    for learn_it in competitors.values():
        learn_it(lesson.first(20 * BATCH), 0)
    return take_turns({name: partial(work, lesson) for name, work in competitors.items()}, rounds)


def prepared(lesson: Lesson, seed: int, precision: Precision) -> tuple[Objective, Examples, Train]:
    """What nnpipe's loop is handed by the stage that trains: objective, examples, and the spec's training."""
    spec = api.read_spec(ROOT / "specs" / "mnist_convnet.yaml", {"train.precision": precision})
    assert spec.train is not None
    scaling, generator = Scaling(scale=SCALE), torch.Generator().manual_seed(seed)
    network = Network(spec.model, SHAPE, scaling, CLASSES, generator).place(lesson.device)
    x, y = torch.from_numpy(lesson.train.x).unsqueeze(1), torch.from_numpy(lesson.train.y)
    examples = Examples(x.to(lesson.device), y.to(lesson.device), scaling)
    loss = spec.train.loss.resolved(torch.bincount(y, minlength=len(CLASSES)).tolist())
    learning = Learning(network, loss, precision, examples, (), seed)
    return spec.train.algorithm.objective(learning), examples, spec.train


def nnpipe(lesson: Lesson, seed: int, precision: Precision) -> Turn:
    """As the stage ``finetune`` trains it."""
    objective, examples, train = prepared(lesson, seed, precision)
    optimizer = train.optimizer.build(objective.module.parameters())
    started = time.perf_counter()
    learn(objective, optimizer, examples, replace(train.regime(), epochs=lesson.epochs), seed)
    seconds = time.perf_counter() - started
    return lesson.turn(seconds, lambda x: _classes(objective.module.eval(), x, lesson.device))


def plain(lesson: Lesson, seed: int) -> Turn:
    """The loop that everybody writes, with images scaled once and kept as float32."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(3200, 128), nn.ReLU(), nn.Linear(128, 10)),
    ).to(lesson.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, eps=EPSILON)
    x = (torch.from_numpy(lesson.train.x).unsqueeze(1).float() / SCALE).to(lesson.device)
    y = torch.from_numpy(lesson.train.y).to(lesson.device)
    started = time.perf_counter()
    for _ in range(lesson.epochs):
        total, right = torch.zeros((), device=lesson.device), torch.zeros((), device=lesson.device)
        for indices in torch.randperm(len(x)).to(lesson.device).split(BATCH):
            optimizer.zero_grad()
            logits = network(x[indices])
            loss = F.cross_entropy(logits, y[indices])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(indices)
            right += (logits.argmax(1) == y[indices]).sum()
    finish(lesson.device)
    seconds = time.perf_counter() - started
    return lesson.turn(seconds, lambda images: _classes(network, images, lesson.device))


def keras(lesson: Lesson, seed: int) -> Turn:
    """As the lecture has it, on the torch backend, which apart sees to."""
    import keras as k

    k.utils.set_random_seed(seed)
    layers = k.layers
    network = k.Sequential(
        [
            *(k.Input((28, 28, 1)), layers.Conv2D(32, 5, activation="relu"), layers.Conv2D(32, 5, activation="relu")),
            *(layers.MaxPooling2D(2), layers.Flatten()),
            *(layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")),
        ]
    )
    optimizer = k.optimizers.Adam(learning_rate=RATE, epsilon=EPSILON)
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = lesson.train.x[..., None].astype("float32") / SCALE
    started = time.perf_counter()
    network.fit(x, lesson.train.y, batch_size=BATCH, epochs=lesson.epochs, verbose=0)
    finish(lesson.device)
    seconds = time.perf_counter() - started
    return lesson.turn(seconds, lambda x: network.predict_on_batch(x[..., None] / SCALE).argmax(1))


@torch.no_grad()
def _classes(network: nn.Module, x: Any, device: str) -> Tensor:
    scaled: Tensor = torch.from_numpy(x).unsqueeze(1).float() / SCALE
    found: Tensor = network(scaled.to(device)).argmax(1)
    return found
