"""Dropout whose noise comes from a generator of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnpipe.models.layers.dropout import Noise
from nnpipe.models.seeded import Seeded
from nnpipe.models.share import drawn_like


class SeededDropout(Seeded):
    """In training mode multiplies by noise of mean 1 and variance rate / (1 - rate); else the identity.

    bernoulli: 0 with probability ``rate``, else 1 / (1 - rate). gaussian: normal.
    """

    def __init__(self, rate: float, noise: Noise, generator: torch.Generator) -> None:
        super().__init__(generator)
        self.rate, self.noise = rate, noise

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if self.noise == "gaussian":
            deviation = math.sqrt(self.rate / (1 - self.rate))
            return x * drawn_like(x, lambda noise: noise.normal_(1, deviation, generator=self.generator))
        kept = drawn_like(x, lambda noise: noise.bernoulli_(1 - self.rate, generator=self.generator))
        return x * kept.div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}, noise={self.noise}"
