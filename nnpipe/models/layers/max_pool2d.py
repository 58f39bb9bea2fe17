"""Subsampling of images by the largest value of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Pair, Shape, ShapeError, image_shape, shown

if TYPE_CHECKING:
    from torch import Generator, nn


class MaxPool2d(Layer):
    """The maximum of each window of ``size``; rows and columns that fill no whole window are left out."""

    kind: Literal["max_pool2d"] = "max_pool2d"
    size: Pair = Field(description="Height and width of a window; one number for both.")
    stride: Pair | None = Field(None, description="Rows and columns between windows; left out: the size.")

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = image_shape(self.kind, shape)
        if self.size[0] > height or self.size[1] > width:
            raise ShapeError(
                "the window is larger than the image",
                expected=f"a size of at most {height}x{width}",
                found=f"a size of {shown(self.size)}",
                hint="take a smaller window, or less subsampling before it",
            )
        rows, columns = self.stride or self.size
        return channels, (height - self.size[0]) // rows + 1, (width - self.size[1]) // columns + 1

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(self.size, stride=self.stride or self.size)
