"""The network as a spec says it: its layers in order, and what can be told of it without computing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.layers import AnyLayer
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ActivatedLayer, Layer, Shape, ShapeError
from nnpipe.models.unrolling import Unroll, check_encoder
from nnpipe.spec import Part, Shorthand, Switch


def _either_layers_or_a_file(schema: dict[str, Any]) -> None:
    schema.pop("required")
    schema["anyOf"] = [{"required": ["layers"]}, {"required": ["from"]}]


class Model(Part):
    """A network: each layer reads what the one before it gives.

    With ``unroll`` the layers are the encoder of an autoencoder, and ``unrolled`` is the network that is trained.
    With ``from`` the first ``keep`` layers are those of a file, where their weights start; a spec names the others.
    """

    model_config = ConfigDict(json_schema_extra=_either_layers_or_a_file)
    unkeyed: ClassVar[frozenset[str]] = frozenset({"file", "format", "keep"})

    file: str | None = Field(
        None,
        alias="from",
        min_length=1,
        description="A file with a trained network, its layers and where their weights start: .h5 or .keras of Keras, "
        "or what export wrote as safetensors, weights_h5 or huggingface. 'layers', if there are some, follow.",
    )
    format: str | None = Field(None, description="The format of the file; left out: as it looks.")
    keep: int | None = Field(
        None, ge=1, description="How many layers of the file, counted from its input; left out: all."
    )
    layers: tuple[Annotated[AnyLayer, Shorthand()], ...] = Field(
        min_length=1, description="The layers, from the input to the output."
    )
    unroll: Annotated[Unroll | None, Switch()] = Field(
        None, description="true: the layers are an encoder, and learn with its mirror image to give back their input."
    )

    @model_validator(mode="after")
    def _check_encoder(self) -> Model:
        if self.unroll:
            check_encoder(self.layers)
        return self

    @model_serializer(mode="wrap")
    def _as_a_spec_says_it(self, handler: SerializerFunctionWrapHandler) -> Any:
        whole = handler(self)
        layers = whole["layers"][self.keep :] if self.file else whole["layers"]
        said = {
            "from": self.file,
            "format": self.format,
            "keep": self.keep,
            "layers": layers,
            "unroll": whole["unroll"],
        }
        return {name: value for name, value in said.items() if value or name == "layers"}

    @property
    def spelt_out(self) -> Model:
        """The same layers, wherever they were read from."""
        return self.model_copy(update={"file": None, "format": None, "keep": None}) if self.file else self

    @property
    def code(self) -> int | None:
        """The place of the layer whose outputs are the code of an autoencoder; None for other networks."""
        dense = [index for index, layer in enumerate(self.layers) if isinstance(layer, Dense)]
        return dense[-1] if self.unroll else None

    def unrolled(self, input_shape: Shape) -> Model:
        """The network that is trained on examples of ``input_shape``: with its decoder, if there is to be one."""
        if self.unroll is None:
            return self
        dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        decoder = self.unroll.decoder(dense, math.prod(input_shape))
        return self.model_copy(update={"layers": (*self.layers, *decoder), "unroll": None})

    @property
    def last_activation(self) -> Activation:
        """What the outputs went through; linear where the last layer has no activation."""
        last = self.layers[-1]
        return last.activation if isinstance(last, ActivatedLayer) else "linear"

    def first_shape(self, input_shape: Shape) -> Shape:
        """What the first layer is given: images as vectors, where it flattens; else ``input_shape``."""
        return (math.prod(input_shape),) if self.layers[0].flattens else tuple(input_shape)

    def shapes(self, input_shape: Shape) -> list[Shape]:
        """The shape of one example after each layer.

        Raises:
            ShapeError: a layer cannot take what reaches it; ``index`` is its place.
        """
        shapes, shape = [], self.first_shape(input_shape)
        for index, layer in enumerate(self.layers):
            try:
                shape = layer.output_shape(shape)
            except ShapeError as error:
                error.index = index
                raise
            shapes.append(shape)
        return shapes

    def parameters(self, input_shape: Shape) -> int | None:
        """How many numbers training adjusts; None where only building a layer tells. Raises as ``shapes`` does."""
        inputs = [self.first_shape(input_shape), *self.shapes(input_shape)[:-1]]
        counts = [layer.parameters(shape) for layer, shape in zip(self.layers, inputs, strict=True)]
        return None if None in counts else sum(filter(None, counts))

    def at_any_depth(self) -> Iterator[tuple[int, Layer]]:
        """Every layer, those inside others too, with the place in the network where it stands."""
        for index, layer in enumerate(self.layers):
            yield from ((index, each) for each in _itself_and_inner(layer))


def _itself_and_inner(layer: Layer) -> Iterator[Layer]:
    yield layer
    for inner in layer.inner:
        yield from _itself_and_inner(inner)
