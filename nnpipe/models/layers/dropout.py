"""Dropout: in training each value is left out with a probability (Srivastava et al. 2014, section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Shape

if TYPE_CHECKING:
    from torch import Generator, nn

Noise = Literal["bernoulli", "gaussian"]


class Dropout(Layer):
    """In training sets values to zero with probability ``rate`` and scales the others up; afterwards does nothing.

    With gaussian noise values are multiplied by N(1, rate / (1 - rate)) instead: the same mean and variance, and on
    MNIST the lower error (Srivastava et al. 2014, table 10).
    """

    kind: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1, description="Probability that a value is left out.")
    noise: Noise = Field("bernoulli", description="What values are multiplied by; gaussian: of the same variance.")

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 0

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from nnpipe.models.seeded_dropout import SeededDropout

        return SeededDropout(self.rate, self.noise, generator)
