"""Pictures seen in a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Flip(Augmentation):
    """Left and right, or up and down, change places. Not for digits: a mirrored 2 is no 2."""

    kind: Literal["flip"] = "flip"
    axis: Literal["horizontal", "vertical"] = Field("horizontal", description="horizontal: left and right change.")
    probability: float = Field(0.5, gt=0, le=1)

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        import torch

        chosen = (torch.rand(len(x), 1, 1, 1, generator=generator) < self.probability).to(x.device)
        return torch.where(chosen, x.flip(-1 if self.axis == "horizontal" else -2), x)
