"""The largest value of each channel: whether a filter found its pattern, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.models.layers.layer import Shape
from nnpipe.models.layers.pool2d import GlobalPool2d

if TYPE_CHECKING:
    from torch import Generator, nn


class GlobalMaxPool2d(GlobalPool2d):
    """The maximum over rows and columns."""

    kind: Literal["global_max_pool2d"] = "global_max_pool2d"

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
