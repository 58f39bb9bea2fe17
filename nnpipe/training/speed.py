"""How long a learning step takes in float32 and in bfloat16, measured here and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.training.precision import Precision, products_in

SECONDS, LEAST = 1.0, 5  # how long is measured, but so many rounds at least
Step = Callable[[Precision], None]


def seconds_per_step(device: str) -> dict[Precision, float]:
    """Of a dense layer (784 to 512 units, batch 128) and a convolution (32 channels, 5x5, batch 32) together.

    There and back, with float32 weights, as training has it. The two precisions take turns, and the shortest time of
    each counts; on a CPU the processor time of one thread. So it matters little what else the machine does: by the
    clock, threads that wait for each other tell of others at work.
    """
    least: dict[Precision, float] = dict.fromkeys(get_args(Precision), 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for step in (_dense(device), _convolution(device)):
            for precision, seconds in _shortest(step, device, SECONDS / 2).items():
                least[precision] += seconds
    finally:
        torch.set_num_threads(threads)
    return least


def _shortest(step: Step, device: str, seconds: float) -> dict[Precision, float]:
    turns: dict[Precision, list[float]] = {precision: [] for precision in get_args(Precision)}
    clock = time.perf_counter if device == "cuda" else time.thread_time
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns["float32"]) < LEAST:
        for precision, taken in turns.items():
            began = clock()
            step(precision)
            if device == "cuda":
                torch.cuda.synchronize()
            taken.append(clock() - began)
    return {precision: min(taken) for precision, taken in turns.items()}


def _dense(device: str) -> Step:
    return _there_and_back(F.linear, _drawn((128, 784), device), _drawn((512, 784), device))


def _convolution(device: str) -> Step:
    x, weight = _drawn((32, 32, 24, 24), device), _drawn((32, 32, 5, 5), device)
    last = torch.channels_last
    return _there_and_back(F.conv2d, x.to(memory_format=last), weight.to(memory_format=last))


def _there_and_back(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> Step:
    leaves = (x.requires_grad_(), weight.requires_grad_())

    def step(precision: Precision) -> None:
        with products_in(precision, x.device.type):
            out = product(x, weight)
        torch.autograd.grad(out, leaves, torch.ones_like(out))

    return step


def _drawn(shape: tuple[int, ...], device: str) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
