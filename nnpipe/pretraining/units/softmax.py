"""One group of units of which exactly one is on (Hinton 2010, section 13.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from nnpipe.pretraining.objective import VISIBLE_MEAN_BOUND
from nnpipe.pretraining.units.units import Units


class Softmax(Units):
    """All units of the side are the group; visible values that add up to 1 are read as probabilities."""

    closed_form: ClassVar[bool] = True

    def mean(self, x: Tensor) -> Tensor:
        return x.softmax(1)

    def response(self, x: Tensor) -> Tensor:
        return x.softmax(1)

    def sample(self, x: Tensor, generator: torch.Generator, mean: Tensor | None = None) -> Tensor:
        chosen = torch.multinomial(x.softmax(1) if mean is None else mean, 1, generator=generator)
        return torch.zeros_like(x).scatter_(1, chosen, 1)

    def log_partition(self, x: Tensor) -> Tensor:
        return x.logsumexp(1)

    def log_base(self, states: Tensor) -> float:
        return 0.0

    def natural(self, bias: Tensor) -> Tensor:
        return bias

    def first_bias(self, mean: Tensor) -> Tensor:
        return mean.clamp(min=VISIBLE_MEAN_BOUND / len(mean)).log()

    def states(self, units: int) -> int:
        return units

    def enumerate(self, units: int, device: torch.device) -> Iterator[Tensor]:
        yield torch.eye(units, dtype=torch.float64, device=device)
