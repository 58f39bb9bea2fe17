"""Linear units with gaussian noise: real numbers (Hinton 2010, section 13.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from nnpipe.pretraining.units.units import Units


class Gaussian(Units):
    """base(s) = exp(-s^2 / (2 variance)); the mean of s is variance * x, and its bias is a mean.

    That is the energy (s - bias)^2 / (2 variance) without bias^2 / (2 variance), which no state changes.

    log_variance: (units,), of each unit's noise; None: all have variance 1, as linear hidden units do.
    """

    closed_form: ClassVar[bool] = True

    def __init__(self, log_variance: nn.Parameter | None = None) -> None:
        self.log_variance = log_variance

    def mean(self, x: Tensor) -> Tensor:
        return x if self.log_variance is None else x * self.log_variance.exp()

    def response(self, x: Tensor) -> Tensor:
        return self.mean(x)

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        noise = noise if self.log_variance is None else noise * (self.log_variance / 2).exp()
        return noise + (self.mean(x) if mean is None else mean)

    def log_partition(self, x: Tensor) -> Tensor:
        spread = 0.0 if self.log_variance is None else self.log_variance.sum()
        return (self.mean(x) * x).sum(1) / 2 + (spread + x.shape[1] * math.log(2 * math.pi)) / 2

    def log_base(self, states: Tensor) -> Tensor:
        return -self.natural(states.square()).sum(1) / 2

    def natural(self, bias: Tensor) -> Tensor:
        return bias if self.log_variance is None else bias * self.log_variance.neg().exp()

    def first_bias(self, mean: Tensor) -> Tensor:
        return mean

    def states(self, units: int) -> None:
        return None

    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        raise ValueError("the states of gaussian units cannot be enumerated")
