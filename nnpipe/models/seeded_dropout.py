"""Dropout whose masks come from a generator of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.models.seeded import Seeded


class SeededDropout(Seeded):
    """Zeros with probability ``rate`` in training mode, the others divided by ``1 - rate``; else the identity."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__(generator)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
