"""A nonlinearity as a layer of its own: after a batch_norm, or in a residual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.models.activations import Activation
from nnpipe.models.layers.layer import ActivatedLayer, Shape

if TYPE_CHECKING:
    from torch import Generator, nn


class ActivationLayer(ActivatedLayer):
    """``activation`` of every value; softmax goes over features, or over channels at every place."""

    kind: Literal["activation"] = "activation"
    activation: Activation = Field(description="What values go through.")

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        return nn.Identity()
