"""Inputs made worse on purpose: Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Generator, Tensor

Corruption = Literal["masking", "gaussian", "salt_and_pepper"]


def corrupt(x: Tensor, corruption: Corruption, level: float, generator: Generator) -> tuple[Tensor, Tensor | None]:
    """x with some values set to 0 (masking), to 0 or 1 (salt_and_pepper), or all shifted (gaussian).

    level: the share of values that are chosen; of gaussian the standard deviation of what is added.
    Beside it, which were chosen, of the shape of x; None where all or none were.
    """
    import torch

    if level == 0:
        return x, None
    if corruption == "gaussian":
        return x + level * torch.randn(x.shape, generator=generator, device=x.device), None
    draws = torch.rand(x.shape, generator=generator, device=x.device)
    chosen = draws < level
    if corruption == "masking":
        return x.masked_fill(chosen, 0), chosen
    return x.masked_fill(chosen, 0).masked_fill(draws < level / 2, 1), chosen
