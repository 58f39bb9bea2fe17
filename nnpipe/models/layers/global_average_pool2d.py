"""The mean of each channel: images become vectors without weights (Lin, Chen & Yan 2014, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.layers.layer import Shape
from nnpipe.models.layers.pool2d import GlobalPool2d

if TYPE_CHECKING:
    from torch import Generator, nn


class GlobalAveragePool2d(GlobalPool2d):
    """The mean over rows and columns."""

    kind: Literal["global_average_pool2d"] = "global_average_pool2d"

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
