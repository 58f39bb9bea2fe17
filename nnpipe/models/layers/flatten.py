"""From images to vectors: channel by channel, row by row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from nnpipe.models.layers.layer import Layer, Shape

if TYPE_CHECKING:
    from torch import Generator, nn


class Flatten(Layer):
    """All values of an example in one vector, in the order channel, row, column."""

    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.Flatten()
