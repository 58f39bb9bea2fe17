"""What every layer of a network offers: the shape that leaves it, and the torch module that computes it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.initialisers import AnyInitialiser, Auto, NguyenWidrow
from nnpipe.spec import Part, problem

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

Shape = tuple[int, ...]  # of one example, without the batch: (features,) or (channels, height, width)


class ShapeError(ValueError):
    """A layer cannot take the shape that reaches it. ``index``: the layer's place in the network, where known."""

    def __init__(
        self, what: str, *, expected: str, found: str, hint: str | None = None, index: int | None = None
    ) -> None:
        super().__init__(what)
        self.what, self.expected, self.found, self.hint, self.index = what, expected, found, hint, index


class Layer(Part):
    """A layer as a spec says it. Planning asks for shapes and counts only, so torch is imported inside ``build``.

    flattens: whether, as the first of a network, it reads images as vectors.
    """

    flattens: ClassVar[bool] = False
    kind: str

    @property
    def inner(self) -> Sequence[Layer]:
        """The layers that stand inside this one, in order."""
        return ()

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one example after this layer.

        Raises:
            ShapeError: the layer cannot take ``shape``.
        """

    @abstractmethod
    def parameters(self, shape: Shape) -> int | None:
        """How many numbers training adjusts, for examples of ``shape``; None where only building it tells."""

    @abstractmethod
    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        """A module for examples of ``shape``, its weights drawn from ``generator`` alone (never the global one).

        An ``ActivatedLayer`` leaves its activation to the stack that it stands in.
        """


class ActivatedLayer(Layer):
    """A layer with a nonlinearity, which the stack of layers applies after it: losses want what was before the last."""

    activation: Activation = Field("linear", description="What the layer's sums go through.")


class WeightedLayer(ActivatedLayer):
    """A layer with weights and biases."""

    init: AnyInitialiser = Field(Auto(), description="How the weights are drawn; auto: by the activation.")
    bias: float | None = Field(None, description="Where biases start; left out: at zero, unless init draws them.")

    @model_validator(mode="after")
    def _check_init(self) -> WeightedLayer:
        if isinstance(self.init, NguyenWidrow) and self.activation not in NguyenWidrow.activations:
            raise problem(
                f"init {self.init.kind} divides the range of units that are steep in the middle and flat outside",
                path=("init",),
                expected=f"activation {' or '.join(NguyenWidrow.activations)}",
                found=f"activation {self.activation}",
                hint="init auto chooses by the activation",
            )
        return self

    def initialise(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        """Fill ``weight``, (outputs, inputs, ...), and ``bias``, (outputs,), in place."""
        from torch.nn import init

        init.constant_(bias, self.bias or 0)
        self.init.draw(weight, bias if self.bias is None else None, generator, self.activation)


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
