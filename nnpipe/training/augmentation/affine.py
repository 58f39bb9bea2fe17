"""Pictures turned, stretched, sheared and moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from nnpipe.spec import problem
from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor

Factor = Annotated[float, Field(gt=0)]


class Affine(Augmentation):
    """Each drawn evenly from its range; what is left out does not happen."""

    kind: Literal["affine"] = "affine"
    degrees: float = Field(0, ge=0, le=180, description="Turned by at most so much, either way.")
    scale: tuple[Factor, Factor] = Field((1.0, 1.0), description="The smallest and the largest factor of size.")
    shear: float = Field(0, ge=0, lt=90, description="Degrees that the vertical leans at most, either way.")
    translate: float = Field(0, ge=0, description="Pixels that it moves at most along each axis.")

    @model_validator(mode="after")
    def _check_something_happens(self) -> Affine:
        if self.scale[0] > self.scale[1]:
            raise problem("an empty range", path=("scale",), expected="[smallest, largest]", found=str(self.scale))
        if not (self.degrees or self.shear or self.translate or self.scale != (1.0, 1.0)):
            expected = "at least one of degrees, scale, shear and translate"
            raise problem("an affine augmentation that changes nothing", expected=expected, found="none of them")
        return self

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        import torch

        from nnpipe.training.augmentation.warp import uniform, warp_affine

        count = (len(x),)
        angle = torch.deg2rad(uniform(-self.degrees, self.degrees, count, generator, x))
        lean = torch.deg2rad(uniform(-self.shear, self.shear, count, generator, x)).tan()
        factor = uniform(*self.scale, count, generator, x)
        cosine, sine = angle.cos(), angle.sin()
        rows = [cosine, -lean * cosine - sine, sine, cosine - lean * sine]
        matrix = (factor * torch.stack(rows)).T.reshape(-1, 2, 2)
        shift = uniform(-self.translate, self.translate, (len(x), 2), generator, x)
        return warp_affine(x, matrix, shift)
