"""What every layer of a network offers: the shape that leaves it, and the torch module that computes it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Generator, nn

Shape = tuple[int, ...]  # of one example, without the batch: (features,) or (channels, height, width)


class ShapeError(ValueError):
    """A layer cannot take the shape that reaches it."""

    def __init__(self, what: str, *, expected: str, found: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.expected, self.found, self.hint = what, expected, found, hint


class Layer(Part):
    """A layer as a spec says it. Planning calls ``output_shape`` only, so torch is imported inside ``build``."""

    kind: str

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one example after this layer.

        Raises:
            ShapeError: the layer cannot take ``shape``.
        """

    @abstractmethod
    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        """A module for examples of ``shape``, its weights drawn from ``generator`` alone (never the global one)."""
