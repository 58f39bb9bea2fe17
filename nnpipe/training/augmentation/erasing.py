"""Pictures with a rectangle taken out (Zhong et al. 2020, algorithm 1; DeVries & Taylor 2017)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from nnpipe.spec import problem
from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor

Share = Annotated[float, Field(gt=0, lt=1)]


class Erasing(Augmentation):
    """A rectangle of between ``area[0]`` and ``area[1]`` of the picture becomes 0; up to 3.3 times longer than wide."""

    kind: Literal["erasing"] = "erasing"
    probability: float = Field(0.5, gt=0, le=1)
    area: tuple[Share, Share] = Field((0.02, 0.33), description="The smallest and the largest part of the picture.")

    @model_validator(mode="after")
    def _check_area(self) -> Erasing:
        if self.area[0] > self.area[1]:
            raise problem("an empty range", path=("area",), expected="[smallest, largest]", found=str(self.area))
        return self

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        import torch

        from nnpipe.training.augmentation.warp import uniform

        count, (height, width) = (len(x), 1), x.shape[-2:]
        area = uniform(*self.area, count, generator, x) * height * width
        ratio = uniform(-math.log(3.3), math.log(3.3), count, generator, x).exp()
        tall, wide = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round())
        rows, columns = (_within(size, length, generator) for size, length in ((tall, height), (wide, width)))
        chosen = (torch.rand(count, generator=generator) < self.probability).to(x.device)
        erased = (rows & chosen)[:, None, :, None] & columns[:, None, None, :]
        return x.masked_fill(erased, 0)


def _within(size: Tensor, length: int, generator: Generator) -> Tensor:
    """Which of ``length`` places, (batch, length), lie within a stretch of ``size``, (batch, 1), put anywhere."""
    import torch

    from nnpipe.training.augmentation.warp import uniform

    size = size.clamp(1, length)
    start = (uniform(0, 1, tuple(size.shape), generator, size) * (length - size + 1)).floor()
    places = torch.arange(length, device=size.device)
    return (places >= start) & (places < start + size)
