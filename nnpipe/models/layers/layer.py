"""What every layer of a network offers: the shape that leaves it, and the torch module that computes it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from nnpipe.models.activations import Activation
from nnpipe.models.initialisers import Initialiser
from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Generator, nn

Shape = tuple[int, ...]  # of one example, without the batch: (features,) or (channels, height, width)


class ShapeError(ValueError):
    """A layer cannot take the shape that reaches it. ``index``: the layer's place in the network, where known."""

    def __init__(
        self, what: str, *, expected: str, found: str, hint: str | None = None, index: int | None = None
    ) -> None:
        super().__init__(what)
        self.what, self.expected, self.found, self.hint, self.index = what, expected, found, hint, index


class Layer(Part):
    """A layer as a spec says it. Planning asks for shapes and counts only, so torch is imported inside ``build``."""

    kind: str

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one example after this layer.

        Raises:
            ShapeError: the layer cannot take ``shape``.
        """

    @abstractmethod
    def parameters(self, shape: Shape) -> int:
        """How many numbers training adjusts, for examples of ``shape``."""

    @abstractmethod
    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        """A module for examples of ``shape``, its weights drawn from ``generator`` alone (never the global one)."""


class WeightedLayer(Layer):
    """A layer with weights and biases, and a nonlinearity that the network applies after it."""

    activation: Activation = Field("linear", description="What the layer's sums go through.")
    # The lecture's networks are Keras's, whose default this is, with ReLU too; He's is one word away.
    init: Initialiser = Field("glorot_uniform", description="How the weights are drawn; biases start at zero.")


def shown(shape: Shape) -> str:
    """A shape as an error says it: ``1x28x28``."""
    return "x".join(map(str, shape))


def image_shape(kind: str, shape: Shape) -> tuple[int, int, int]:
    """``shape`` as (channels, height, width).

    Raises:
        ShapeError: it is a vector's.
    """
    if len(shape) != 3:
        raise ShapeError(
            f"{kind} reads images",
            expected="a shape of channels x height x width",
            found=f"a vector of {shown(shape)} features",
            hint=f"put {kind} before flatten and dense, or take data that are images",
        )
    return shape[0], shape[1], shape[2]


def _pair(value: Any) -> Any:
    """Let one number stand for two equal ones: ``kernel: 5`` for ``kernel: [5, 5]``."""
    if isinstance(value, list):
        return tuple(value)
    return (value, value) if type(value) is int else value


Size = Annotated[int, Field(ge=1)]
# (height, width)
Pair = Annotated[tuple[Size, Size], BeforeValidator(_pair, json_schema_input_type=Size | tuple[Size, Size])]
