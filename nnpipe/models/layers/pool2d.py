"""Subsampling of images window by window, and over all of an image: what its kinds have in common."""

from __future__ import annotations

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Pair, Shape, ShapeError, image_shape, shown


class Pool2d(Layer):
    """One value for each window of ``size``; rows and columns that fill no whole window are left out."""

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


class GlobalPool2d(Layer):
    """One value a channel: images become vectors of channels, whatever their height and width."""

    def output_shape(self, shape: Shape) -> Shape:
        return (image_shape(self.kind, shape)[0],)

    def parameters(self, shape: Shape) -> int:
        return 0
