"""Binary units: on with probability 1 / (1 + exp(-x))."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.generative import sampled
from nnpipe.pretraining.objective import logit_bias
from nnpipe.pretraining.units.units import Units

BLOCK = 1 << 12  # states at a time


class Bernoulli(Units):
    """States are 0 and 1; visible values between them are read as probabilities (Hinton 2010, section 3)."""

    closed_form: ClassVar[bool] = True

    def mean(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def response(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        return sampled(x.sigmoid() if mean is None else mean, generator)

    def log_partition(self, x: Tensor) -> Tensor:
        return F.softplus(x).sum(1)

    def log_base(self, states: Tensor) -> float:
        return 0.0

    def natural(self, bias: Tensor) -> Tensor:
        return bias

    def first_bias(self, mean: Tensor) -> Tensor:
        return logit_bias(mean)

    def states(self, units: int) -> int:
        return 1 << units

    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        places = torch.arange(units, device=device)
        for start in range(0, 1 << units, BLOCK):
            numbers = torch.arange(start, min(start + BLOCK, 1 << units), device=device)
            yield (numbers[:, None] >> places & 1).double()
