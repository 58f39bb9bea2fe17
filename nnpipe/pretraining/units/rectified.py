"""Noisy rectified linear units (Nair & Hinton 2010): max(0, x + noise), the noise with variance 1 / (1 + exp(-x)).

They stand for infinitely many binary units with the same weights and biases that fall by steps of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from nnpipe.pretraining.units.units import Units


class Rectified(Units):
    """Hidden units only: the approximation by rectified noise has conditionals, but no energy that is simple."""

    closed_form: ClassVar[bool] = False

    def mean(self, x: Tensor) -> Tensor:
        """Of a normal variable cut off at zero: x Phi(x / s) + s phi(x / s), where s^2 = 1 / (1 + exp(-x))."""
        s = x.sigmoid().sqrt()
        ratio = x / s.clamp(min=torch.finfo(x.dtype).tiny)
        density = (ratio.square() / -2).exp() / math.sqrt(2 * math.pi)
        mean: Tensor = x * torch.special.ndtr(ratio) + s * density
        return mean.clamp(min=0)

    def response(self, x: Tensor) -> Tensor:
        return x.relu()

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return noise.mul_(x.sigmoid().sqrt_()).add_(x).relu_()

    def log_partition(self, x: Tensor) -> Tensor:
        raise ValueError("rectified units cannot be summed out in closed form")

    def log_base(self, states: Tensor) -> Tensor:
        raise ValueError("rectified units have no simple energy")

    def natural(self, bias: Tensor) -> Tensor:
        return bias

    def first_bias(self, mean: Tensor) -> Tensor:
        return mean

    def states(self, units: int) -> None:
        return None

    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        raise ValueError("the states of rectified units cannot be enumerated")
