"""Where the time of a training step goes, and how fast it could be: what its products of matrices alone take.

    python -m benchmarks.profile convnet [--precision bfloat16] [--threads 2] [--steps 200]

Prints torch's profile by operator, then each product of the same shapes by itself, and what share of a step they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks import convnet, denoising, rbm
from benchmarks.data import images
from benchmarks.measure import number, seconds
from benchmarks.training import learn
from nnpipe.training.examples import Examples
from nnpipe.training.objective import Objective
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

OPERATORS = 15  # rows of the profile
REPEATS = 50  # of a product
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Product:
    """A product of matrices, or a convolution, as a step has it. flops: a multiplication and an addition are two."""

    name: str
    work: Callable[[], object]
    flops: float


@dataclass(frozen=True)
class Subject:
    """What is looked at: a learner, and the products of one of its steps, as they have to be."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    examples: Examples
    batch: int
    products: list[Product]

    def learn(self) -> None:
        """One epoch."""
        learn(self.objective, self.optimizer, self.examples, Regime(1, self.batch), 0)


def of_convnet(steps: int, precision: Precision) -> Subject:
    """Two convolutions, of which the first need not know how its inputs should change, and two dense layers."""
    batch = convnet.BATCH
    lesson = convnet.Lesson(images("train", steps * batch), images("test", 1))
    objective, examples, train = convnet.prepared(lesson, 0, precision)
    optimizer = train.optimizer.build(objective.module.parameters())
    products = [
        *_convolution("conv2d 1", (batch, 1, 28, 28), 32, precision, first=True),
        *_convolution("conv2d 2", (batch, 32, 24, 24), 32, precision),
        *_dense("dense 1", batch, 3200, 128, precision),
        *_dense("dense 2", batch, 128, 10, precision),
    ]
    return Subject(objective, optimizer, examples, batch, products)


def of_rbm(steps: int, precision: Precision) -> Subject:
    """Up, down, up again, and the two halves of the gradient."""
    batch, hidden = rbm.BATCH, rbm.HIDDEN
    objective, examples = rbm.prepared(rbm.Lesson(rbm.flat(images("train", steps * batch)), 1), 0, precision)
    optimizer = Sgd(learning_rate=rbm.RATE).build(objective.module.parameters())
    up, down = (batch, 784, hidden), (batch, hidden, 784)
    products = [
        _product("up, from the data", *up, precision),
        _product("down", *down, precision),
        _product("up", *up, precision),
        *(_product(f"gradient, {half}", hidden, batch, 784, precision) for half in ("data", "model")),
    ]
    return Subject(objective, optimizer, examples, batch, products)


def of_denoising(steps: int, precision: Precision) -> Subject:
    """Encoder and decoder, there and back; nothing is asked of the inputs."""
    batch, hidden = denoising.BATCH, denoising.HIDDEN
    lesson = rbm.Lesson(rbm.flat(images("train", steps * batch)), 1)
    objective, examples = denoising.prepared(lesson, 0, precision)
    optimizer = Sgd(learning_rate=denoising.RATE).build(objective.module.parameters())
    encoder = _dense("encoder", batch, 784, hidden, precision, first=True)
    products = [*encoder, *_dense("decoder", batch, hidden, 784, precision)]
    return Subject(objective, optimizer, examples, batch, products)


SUBJECTS = {"convnet": of_convnet, "rbm": of_rbm, "denoising": of_denoising}


def _product(name: str, rows: int, inner: int, columns: int, precision: Precision) -> Product:
    left = torch.randn(rows, inner).to(DTYPES[precision])
    right = torch.randn(columns, inner).to(DTYPES[precision])
    return Product(f"{name}: {rows}x{inner}x{columns}", lambda: left @ right.T, 2.0 * rows * inner * columns)


def _dense(
    name: str, batch: int, inputs: int, units: int, precision: Precision, *, first: bool = False
) -> Iterator[Product]:
    yield _product(f"{name} forward", batch, inputs, units, precision)
    yield _product(f"{name} gradient of weights", units, batch, inputs, precision)
    if not first:
        yield _product(f"{name} gradient of inputs", batch, units, inputs, precision)


def _convolution(
    name: str, shape: tuple[int, int, int, int], filters: int, precision: Precision, *, first: bool = False
) -> Iterator[Product]:
    """Of 5x5 kernels, valid padding; both gradients at once, as torch computes them."""
    kernel, dtype, laid = 5, DTYPES[precision], torch.channels_last
    x = torch.randn(shape).to(dtype, memory_format=laid)
    weight = torch.randn(filters, shape[1], kernel, kernel).to(dtype, memory_format=laid)
    bias = torch.zeros(filters, dtype=dtype)
    back = torch.randn_like(F.conv2d(x, weight, bias))
    flops = 2.0 * back.numel() * shape[1] * kernel**2
    yield Product(f"{name} forward", lambda: F.conv2d(x, weight, bias), flops)
    wanted = [not first, True, True]

    def gradients() -> object:
        return torch.ops.aten.convolution_backward(
            back, x, weight, [filters], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, wanted
        )

    yield Product(f"{name} gradients", gradients, flops * sum(wanted[:2]))


def main(words: list[str] | None = None) -> None:
    """Carry out a command line, by default the process's own."""
    parser = argparse.ArgumentParser("python -m benchmarks.profile", description=__doc__.partition("\n")[0])
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--steps", type=int, default=200, metavar="N")
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    subject = SUBJECTS[given.subject](given.steps, given.precision)
    step = _step(subject)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        subject.learn()
    print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=OPERATORS, max_name_column_width=45))
    _show_limit(subject, step, f"{given.subject}, {given.precision}, {given.threads} threads")


def _step(subject: Subject) -> float:
    """The median over steps, as of products: what else the machine does then disturbs both little."""
    ends: list[float] = []
    hook = subject.optimizer.register_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    subject.learn()  # the median leaves out the first steps, too
    hook.remove()
    return median(after - before for before, after in pairwise(ends))


def _show_limit(subject: Subject, step: float, title: str) -> None:
    table = Table("product", "ms", "GFLOP/s", title=title)
    total = 0.0
    with torch.inference_mode():
        for product in subject.products:
            product.work()
            took = median(seconds(product.work) for _ in range(REPEATS))
            total += took
            table.add_row(product.name, number(1e3 * took), number(product.flops / took / 1e9))
    table.add_section()
    table.add_row("all products", number(1e3 * total), number(sum(p.flops for p in subject.products) / total / 1e9))
    table.add_row("the whole step", number(1e3 * step), "")
    Console().print(table)
    limit, reached = subject.batch / total, subject.batch / step
    print(f"products alone: {number(limit)} images/s; nnpipe: {number(reached)}, {reached / limit:.0%} of it")


if __name__ == "__main__":
    main()
