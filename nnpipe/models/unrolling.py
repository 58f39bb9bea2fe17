"""Unrolling a stack of layers into a deep autoencoder: the stack encodes, its mirror image decodes.

Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.layer import Layer
from nnpipe.spec import Part, problem


class Unroll(Part):
    """The layers of the network are an encoder; a decoder is put behind them, and both learn to give back the input.

    The decoder has the dense layers of the encoder from the last to the first, each with the units and the activation
    of what it gives back; dropout is not mirrored. It shares no weights with the encoder.
    """

    output: Literal["sigmoid", "linear"] = Field(
        "sigmoid", description="The activation of what is given back: sigmoid for values from 0 to 1, else linear."
    )

    def decoder(self, encoder: Sequence[Dense], inputs: int) -> tuple[Dense, ...]:
        """The layers behind ``encoder``, its dense layers in order; inputs: how many values an example has."""
        return (*encoder[-2::-1], Dense(units=inputs, activation=self.output))


def check_encoder(layers: Sequence[Layer]) -> None:
    """Refuse layers that have no mirror image.

    Raises:
        PydanticCustomError: its path starts at the network that has ``layers``.
    """
    for index, layer in enumerate(layers):
        if not isinstance(layer, Dense | Flatten | Dropout):
            raise _not_to_be_unrolled(index, layer)
    if not any(isinstance(layer, Dense) for layer in layers):
        raise _not_to_be_unrolled(len(layers) - 1, layers[-1])


def _not_to_be_unrolled(index: int, layer: Layer) -> Any:
    return problem(
        "only dense layers can be unrolled",
        path=("layers", index),
        expected="dense layers, and flatten and dropout between them",
        found=f"layer {layer.kind}",
        hint="leave unroll out, or make the encoder of dense layers",
    )
