"""Layers one after the other, each followed by its activation: a network, and what is inside a residual."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nnpipe.models.activations import activation_function
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.layer import ActivatedLayer, Layer, Shape
from nnpipe.models.layers.max_pool2d import MaxPool2d

Function = Callable[[Tensor], Tensor]


class Stack(nn.Module):
    """``layers`` for examples of ``shape``, first weights drawn from ``generator`` in their order.

    layers: index = place; their parameters are ``layers.<i>.weight``, ``layers.<i>.bias`` and so on.
    """

    def __init__(self, layers: Sequence[Layer], shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for layer in layers:
            self.layers.append(layer.build(shape, generator))
            shape = layer.output_shape(shape)
        self._functions = [
            activation_function(layer.activation if isinstance(layer, ActivatedLayer) else "linear") for layer in layers
        ]
        self._fewer = _late_rectifiers(layers, self._functions)

    def logits(self, x: Tensor) -> Tensor:
        """Everything but the last layer's activation."""
        for layer, function in zip(self.layers[:-1], self._fewer, strict=False):
            x = function(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]

    def outputs(self, logits: Tensor) -> Tensor:
        """The last layer's activation of ``logits``."""
        return self._functions[-1](logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.logits(x))

    def activations(self, x: Tensor) -> list[Tensor]:
        """What leaves each layer, in order; the last is ``forward(x)``."""
        found = []
        for layer, function in zip(self.layers, self._functions, strict=True):
            x = function(layer(x))
            found.append(x)
        return found


def _late_rectifiers(layers: Sequence[Layer], functions: Sequence[Function]) -> list[Function]:
    """``functions`` with rectifiers behind the max-pooling that follows, and behind flattening: the same bits.

    The largest of rectified values is the rectified largest value; where that is 0 no gradient goes back either way.
    After pooling there are fewer values. After flattening they lie in one order there and back: images are kept with
    their channels last, and a gradient that comes from vectors is not.
    """
    swapped = list(functions)
    for place, behind in enumerate(layers[1:-1]):
        if swapped[place] is torch.relu and isinstance(behind, MaxPool2d | Flatten):
            swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    return swapped


class ResidualStack(Stack):
    """x plus what the layers make of it. projection: the layer that x goes through on its way round them, if any."""

    def __init__(
        self, layers: Sequence[Layer], shape: Shape, projection: Layer | None, generator: torch.Generator
    ) -> None:
        super().__init__(layers, shape, generator)
        self.projection = nn.Identity() if projection is None else projection.build(shape, generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(self.logits(x)) + self.projection(x)  # type: ignore[no-any-return]
