"""What a report tells of a network's layers."""

from __future__ import annotations

from typing import Any

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Layer, WeightedLayer
from nnpipe.plots import words
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON


def layer_rows(model: Artifact, pretrained: int) -> list[dict[str, Any]]:
    """One row a layer of the network; the first ``pretrained`` with weights started from pretrained ones.

    So did the last of an autoencoder, which mirror them.
    """
    tensors, document = model.tensors("model")
    architecture = Model.model_validate(document["architecture"])
    given = architecture.first_shape(tuple(document["input_shape"]))
    shapes = architecture.shapes(tuple(document["input_shape"]))
    rows, weighted = [], 0
    mirrored = pretrained if "code" in document else 0
    last = sum(isinstance(layer, WeightedLayer) for layer in architecture.layers) - mirrored  # the last that is none
    for index, (layer, shape) in enumerate(zip(architecture.layers, shapes, strict=True)):
        weighted += isinstance(layer, WeightedLayer)
        trained, given = layer.parameters(given), shape
        if trained is None:  # only its tensors tell
            trained = sum(int(tensor.size) for name, tensor in tensors.items() if name.startswith(f"layers.{index}."))
        rows.append(
            {
                "kind": layer.kind,
                "options": layer_options(layer),
                "shape": shape,
                "parameters": trained,
                "pretrained": isinstance(layer, WeightedLayer) and (weighted <= pretrained or weighted > last),
            }
        )
    return rows


def layer_options(layer: Layer) -> str:
    """What a spec says of a layer besides its kind, in a line; what sets the shape comes first."""
    options = layer.model_dump(mode="json", exclude_none=True, exclude={"kind"})
    names = sorted(options, key=("init", "activation").__contains__)
    return ", ".join(_option(name, options[name]) for name in names)


def _option(name: str, value: JSON) -> str:
    shown = _value(value)
    return shown if name == "activation" else f"{words.kind(name)} {shown}".strip()


def _value(value: JSON) -> str:
    """Sizes as a shape, components by their kind, the options of a user's own layer one by one."""
    if isinstance(value, list):
        if not any(isinstance(item, dict) for item in value):
            return words.shape(value)
        return ", ".join(map(_value, value))
    if isinstance(value, dict):
        return str(value["kind"]) if "kind" in value else " ".join(f"{name}={_value(value[name])}" for name in value)
    return str(value)
