"""Dropout whose masks come from a generator of its own, so that nothing else moves them and a checkpoint keeps them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SeededDropout(nn.Module):
    """Zeros with probability ``rate`` in training mode, the others divided by ``1 - rate``; else the identity.

    generator: seeded by a draw from the one it is built with.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self._seed = int(torch.randint(2**62, (), generator=generator))
        self.generator = torch.Generator().manual_seed(self._seed)

    def place(self, device: torch.device) -> None:
        """Start anew with a generator on ``device``: masks are drawn where they are used."""
        self.generator = torch.Generator(device).manual_seed(self._seed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
