"""Pictures moved by whole pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Shift(Augmentation):
    """Moved by up to ``pixels`` along each axis, every distance equally often.

    The same as a random crop of the picture with ``pixels`` of background around it.
    """

    kind: Literal["shift"] = "shift"
    pixels: int = Field(ge=1, description="How far at most, right or left and up or down.")

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        import torch
        from torch.nn import functional as F

        size = 2 * self.pixels + 1
        starts = torch.randint(size, (2, len(x)), generator=generator).to(x.device)
        height, width = x.shape[-2:]
        padded = F.pad(x, (self.pixels,) * 4)
        rows = starts[0][:, None] + torch.arange(height, device=x.device)
        columns = starts[1][:, None] + torch.arange(width, device=x.device)
        examples = torch.arange(len(x), device=x.device)[:, None, None]
        # Indexed axes come first: (batch, height, width, channels).
        return padded[examples, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
