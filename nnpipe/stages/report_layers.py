"""What a report tells of a network's layers."""

from __future__ import annotations

from typing import Any

from nnpipe.models.architecture import Model
from nnpipe.plots import words
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON


def layer_rows(model: Artifact, pretrained: int) -> list[dict[str, Any]]:
    """One row a layer of the network; the first ``pretrained`` dense ones started from pretrained weights."""
    tensors, document = model.tensors("model")
    architecture = Model.model_validate(document["architecture"])
    shapes = architecture.shapes(tuple(document["input_shape"]))
    rows, dense = [], 0
    for index, (layer, shape) in enumerate(zip(architecture.layers, shapes, strict=True)):
        options = layer.model_dump(mode="json", exclude_none=True, exclude={"kind"})
        names = sorted(options, key=("init", "activation").__contains__)  # what sets the shape comes first
        dense += layer.kind == "dense"
        own = [tensor.size for name, tensor in tensors.items() if name.startswith(f"layers.{index}.")]
        rows.append(
            {
                "kind": layer.kind,
                "options": ", ".join(_option(name, options[name]) for name in names),
                "shape": shape,
                "parameters": int(sum(own)),
                "pretrained": layer.kind == "dense" and dense <= pretrained,
            }
        )
    return rows


def _option(name: str, value: JSON) -> str:
    if isinstance(value, list):
        value = words.shape(value)
    shown = value.get("kind", value) if isinstance(value, dict) else value
    return str(shown) if name == "activation" else f"{words.kind(name)} {shown}"
