"""How Keras describes a model: its layers in order, each by its class and options, and what the first reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnpipe.errors import DataError

Config = Mapping[str, Any]

INPUT = "InputLayer"


def described_layers(config: object) -> list[Config]:
    """The layers of any model; empty where they are not described as layers are."""
    inside = config.get("config") if isinstance(config, Mapping) else None
    layers = inside.get("layers") if isinstance(inside, Mapping) else inside  # Keras 2.2 had a bare list
    return layers if isinstance(layers, list) and all(map(_is_layer, layers)) else []


def _is_layer(layer: object) -> bool:
    return isinstance(layer, Mapping) and isinstance(layer.get("config"), Mapping)


def sequential_layers(config: object, where: str) -> list[Config]:
    """The layers as they are described, from the first.

    Raises:
        DataError: it is no Sequential model.
    """
    layers = described_layers(config)
    if layers and isinstance(config, Mapping) and config.get("class_name") == "Sequential":
        return layers
    found = config.get("class_name") if isinstance(config, Mapping) else None
    raise DataError(
        "not a network that can be read",
        where=where,
        expected="a Sequential model of Keras",
        found=f"{found} model" if isinstance(found, str) and found != "Sequential" else "something else",
        hint="a Functional model whose layers follow each other can be saved anew as keras.Sequential(model.layers)",
    )


def input_shape(config: object, layers: Sequence[Config], where: str) -> tuple[int, ...]:
    """Of one example, as Keras has it."""
    assert isinstance(config, Mapping)
    first, inside = layers[0]["config"], config["config"]
    found = first.get("batch_shape") or first.get("batch_input_shape")  # the latter until Keras 2
    if not found and isinstance(inside, Mapping):
        found = inside.get("build_input_shape")
    if isinstance(found, list) and len(found) > 1 and all(type(size) is int and size > 0 for size in found[1:]):
        return tuple(found[1:])
    raise DataError(
        "the network does not say what it reads",
        where=where,
        expected="an input shape, whose sizes are known",
        found=str(found),
        hint="save it after keras.Input(shape) was put before its first layer",
    )
