"""The fully connected layer: every unit sums over every input."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Shape, ShapeError, WeightedLayer, shown

if TYPE_CHECKING:
    from torch import Generator, nn


class Dense(WeightedLayer):
    """``units`` weighted sums of all inputs; weight: (units, inputs), bias: (units,)."""

    flattens: ClassVar[bool] = True
    kind: Literal["dense"] = "dense"
    units: int = Field(ge=1, description="How many outputs the layer has.")

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError(
                "dense reads vectors",
                expected="a vector",
                found=f"an image of {shown(shape)}",
                hint="put {kind: flatten} before it",
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> int:
        return self.units * (shape[0] + 1)

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        # skip_init, because the constructor alone would draw from the global generator.
        linear: nn.Linear = nn.utils.skip_init(nn.Linear, shape[0], self.units)  # type: ignore[no-untyped-call]
        self.initialise(linear.weight, linear.bias, generator)
        return linear
