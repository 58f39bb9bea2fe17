"""Parts of pictures, stretched to the size of the whole (Szegedy et al. 2015, section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Crop(Augmentation):
    """A part of at least ``smallest`` of the height and width, anywhere in the picture, at the picture's size."""

    kind: Literal["crop"] = "crop"
    smallest: float = Field(0.8, gt=0, le=1, description="The smallest part of height and width that is kept.")

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        import torch

        from nnpipe.training.augmentation.warp import uniform, warp_affine

        part = uniform(self.smallest, 1, (len(x), 1), generator, x)
        height, width = x.shape[-2:]
        room = (1 - part) / part * torch.tensor([width / 2, height / 2], device=x.device)
        shift = room * uniform(-1, 1, (len(x), 2), generator, x)
        return warp_affine(x, torch.eye(2, device=x.device) / part[:, :, None], shift)
