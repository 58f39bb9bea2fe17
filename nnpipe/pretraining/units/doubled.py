"""Two copies of binary units with weights and biases in common (Salakhutdinov & Hinton 2009, section 3.1).

A layer at an end of a stack that will be a deep Boltzmann machine learns with its outer side doubled: so the inner one
hears twice what it will hear from there, in place of a neighbour that is still missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.pretraining.units.units import Units


class DoubledHidden(Units):
    """States are sums of two copies: 0, 1 or 2. A layer of a network gives what one copy does."""

    closed_form: ClassVar[bool] = True

    def mean(self, x: Tensor) -> Tensor:
        return 2 * x.sigmoid()

    def response(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        return _copies(x.sigmoid() if mean is None else mean / 2, generator)

    def log_partition(self, x: Tensor) -> Tensor:
        return 2 * F.softplus(x).sum(1)

    def log_base(self, states: Tensor) -> Tensor:
        return _log_ways(states)

    def natural(self, bias: Tensor) -> Tensor:
        return bias

    def first_bias(self, mean: Tensor) -> Tensor:
        return Bernoulli().first_bias(mean / 2)

    def states(self, units: int) -> None:
        return None  # they are never the side with fewer states: the other, which is plain, is to be enumerated

    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        raise ValueError("the plain side is to be enumerated, and doubled units summed out")


class DoubledVisible(DoubledHidden):
    """States are means of two copies: 0, 1/2 or 1; data stand for two copies that agree.

    Weights are what hidden units hear both copies by: twice those of one copy.
    """

    def mean(self, x: Tensor) -> Tensor:
        return (x / 2).sigmoid()

    def response(self, x: Tensor) -> Tensor:
        return (x / 2).sigmoid()

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        return _copies((x / 2).sigmoid() if mean is None else mean, generator) / 2

    def log_partition(self, x: Tensor) -> Tensor:
        return 2 * F.softplus(x / 2).sum(1)

    def log_base(self, states: Tensor) -> Tensor:
        return _log_ways(2 * states)

    def natural(self, bias: Tensor) -> Tensor:
        return 2 * bias

    def first_bias(self, mean: Tensor) -> Tensor:
        return Bernoulli().first_bias(mean)


def _copies(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Sums of two binary states that are drawn with ``probabilities``."""
    shape, device = (2, *probabilities.shape), probabilities.device
    draws = torch.rand(shape, generator=generator, device=device, dtype=probabilities.dtype)
    return draws.lt_(probabilities).sum(0)


def _log_ways(sums: Tensor) -> Tensor:
    """log of the number of ways to such sums of two copies, (batch,): there are two to the sum 1."""
    return (sums * (2 - sums)).sum(1) * torch.log(sums.new_tensor(2.0))
