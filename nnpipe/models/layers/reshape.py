"""Another shape for the same values: vectors into images, and back."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Shape, ShapeError, Size, shown

if TYPE_CHECKING:
    from torch import Generator, nn


class Reshape(Layer):
    """The values of an example, in the order channel, row, column, as ``shape``."""

    kind: Literal["reshape"] = "reshape"
    shape: Annotated[
        tuple[Size, Size, Size] | tuple[Size],
        Field(description="[channels, height, width] of images, or [features] of vectors."),
    ]

    def output_shape(self, shape: Shape) -> Shape:
        if prod(shape) != prod(self.shape):
            raise ShapeError(
                f"{prod(shape)} values in a shape for {prod(self.shape)}",
                expected=f"a shape of {prod(shape)} values",
                found=shown(self.shape),
                hint="the product of the shape's numbers must be that many",
            )
        return self.shape

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Unflatten(1, self.shape))
