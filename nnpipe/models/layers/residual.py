"""Layers and a way round them: He, Zhang, Ren & Sun 2016, "Deep residual learning", section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnpipe.models.layers import AnyLayer
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ActivatedLayer, Layer, Shape, ShapeError, shown
from nnpipe.spec import Shorthand

if TYPE_CHECKING:
    from torch import Generator, nn


class Residual(ActivatedLayer):
    """The input plus what ``layers`` make of it; ``activation`` comes after the sum.

    Where the two have unlike shapes, a linear projection leads the input there (section 3.3, option B): a dense layer
    for vectors; for images a 1x1 convolution, with a stride where rows and columns became fewer.
    """

    kind: Literal["residual"] = "residual"
    layers: tuple[Annotated[AnyLayer, Shorthand()], ...] = Field(
        min_length=1, description="What is added to the input: layers in order."
    )
    projection: Literal["auto", "none"] = Field("auto", description="auto: where shapes differ; none: never.")

    @property
    def inner(self) -> tuple[Layer, ...]:
        return self.layers

    def output_shape(self, shape: Shape) -> Shape:
        after = self._inside(shape)[-1]
        self._projection(shape, after)
        return after

    def parameters(self, shape: Shape) -> int | None:
        before = [shape, *self._inside(shape)]
        counts = [layer.parameters(reached) for layer, reached in zip(self.layers, before, strict=False)]
        projection = self.way_round(shape)
        counts += [projection.parameters(shape)] if projection else []
        return None if None in counts else sum(filter(None, counts))

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from nnpipe.models.stack import ResidualStack

        return ResidualStack(self.layers, shape, self.way_round(shape), generator)

    def way_round(self, shape: Shape) -> Conv2d | Dense | None:
        """The layer that projects examples of ``shape``; None where the input is added as it is."""
        return self._projection(shape, self._inside(shape)[-1])

    def _inside(self, shape: Shape) -> list[Shape]:
        """The shape after each of the layers."""
        shapes = []
        for number, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                error.what = f"layers.{number} of the residual: {error.what}"
                raise
            shapes.append(shape)
        return shapes

    def _projection(self, before: Shape, after: Shape) -> Conv2d | Dense | None:
        if before == after:
            return None
        if self.projection == "auto" and len(before) == len(after) == 1:
            return Dense(units=after[0])
        if self.projection == "auto" and len(before) == len(after) == 3:
            stride = (-(-before[1] // after[1]), -(-before[2] // after[2]))
            projection = Conv2d(filters=after[0], kernel=(1, 1), stride=stride)
            if projection.output_shape(before) == after:
                return projection
        raise ShapeError(
            "what the layers of a residual give cannot be added to their input",
            expected=shown(before),
            found=shown(after),
            hint="take projection auto, padding same for convolutions, and strides or pools for fewer rows and columns",
        )
