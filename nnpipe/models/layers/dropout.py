"""Dropout: in training each value is left out with a probability (Srivastava et al. 2014, section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Shape

if TYPE_CHECKING:
    from torch import Generator, nn


class Dropout(Layer):
    """Sets values to zero with probability ``rate`` and scales the others up; does nothing after training."""

    kind: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1, description="Probability that a value is left out.")

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from nnpipe.models.seeded_dropout import SeededDropout

        return SeededDropout(self.rate, generator)
