"""What a Keras model says of itself: its layers, and which of them reads which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnpipe.exporters.keras_layers import INPUT, KerasLayer

if TYPE_CHECKING:
    from nnpipe.models.network import Network


def model_config(network: Network, layers: list[KerasLayer]) -> dict[str, Any]:
    """A Sequential model where each layer reads the one before it, else a Functional one."""
    shape = network.input_shape
    inputs = [*shape[1:], shape[0]] if len(shape) == 3 else list(shape)
    first = KerasLayer(INPUT, "InputLayer", {"name": INPUT, "batch_shape": [None, *inputs], "dtype": "float32"}, {}, ())
    described: list[dict[str, Any]] = [
        {"class_name": layer.class_name, "config": layer.config} for layer in (first, *layers)
    ]
    if not any(layer.class_name == "Add" for layer in layers):
        return {"class_name": "Sequential", "config": {"name": "network", "layers": described}}
    for layer, description in zip((first, *layers), described, strict=True):
        nodes = [[name, 0, 0, {}] for name in layer.reads]
        description |= {"name": layer.name, "inbound_nodes": [nodes] if nodes else []}
    ends = {"input_layers": [[INPUT, 0, 0]], "output_layers": [[layers[-1].name, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "network", "layers": described, **ends}}
