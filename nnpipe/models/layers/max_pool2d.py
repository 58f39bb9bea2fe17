"""Subsampling of images by the largest value of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.layers.layer import Shape
from nnpipe.models.layers.pool2d import Pool2d

if TYPE_CHECKING:
    from torch import Generator, nn


class MaxPool2d(Pool2d):
    """The maximum of each window of ``size``; rows and columns that fill no whole window are left out."""

    kind: Literal["max_pool2d"] = "max_pool2d"

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(self.size, stride=self.stride or self.size)
