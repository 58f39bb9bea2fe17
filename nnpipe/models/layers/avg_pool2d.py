"""Subsampling of images by the mean of each window: LeCun, Bottou, Bengio & Haffner 1998, section II.B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.layers.layer import Shape
from nnpipe.models.layers.pool2d import Pool2d

if TYPE_CHECKING:
    from torch import Generator, nn


class AvgPool2d(Pool2d):
    """The mean of each window of ``size``; rows and columns that fill no whole window are left out."""

    kind: Literal["avg_pool2d"] = "avg_pool2d"

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(self.size, stride=self.stride or self.size)
