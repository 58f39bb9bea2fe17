"""What a network is, in the words of a model card: what it reads and gives, its layers, and how it is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnpipe.models.network import Network

MOST_NAMED = 20  # classes or numbers; config.json has all

CARD = """\
---
{front}
---

# {title}

A network trained with nnpipe. {gives}

It reads examples of shape {shape} that are scaled: `x = (raw - offset) / scale`, with {scaling}.

| Layer | Gives | Parameters |
|---|---|---|
{layers}

`config.json` tells the architecture, the scaling and what the outputs are called; `model.safetensors` has the weights,
as PyTorch names and orders them. nnpipe asks the network:

    nnpipe predict model.safetensors INPUT

so does Python:

    from pathlib import Path
    from nnpipe.prediction.model import open_model
    open_model(Path("model.safetensors")).predict(raw)

What it was trained on, how well it does and what it should not be used for, only those who trained it can say: add it
here.
"""


def model_card(network: Network) -> str:
    """``README.md`` for ``network``."""
    architecture, shape = network.architecture, network.input_shape
    inputs = [architecture.first_shape(shape), *architecture.shapes(shape)]
    rows = [
        f"| {layer.kind} | {_by(gives)} | {_count(layer.parameters(reads))} |"
        for layer, reads, gives in zip(architecture.layers, inputs, inputs[1:], strict=False)
    ]
    tag = _task(network)
    front = ["library_name: nnpipe", *([f"pipeline_tag: {tag}"] if tag else []), "tags:", "- nnpipe", "- safetensors"]
    return CARD.format(
        front="\n".join(front),
        title=f"A network of {len(architecture.layers)} layer{'s' if len(architecture.layers) > 1 else ''}",
        gives=_gives(network),
        shape=_by(shape),
        scaling=_scaling(network),
        layers="\n".join(rows),
    )


def _task(network: Network) -> str | None:
    """What the Hub calls it, where it has a word."""
    data = "image" if len(network.input_shape) == 3 else "tabular"
    if network.class_names:
        return f"{data}-classification"
    return "tabular-regression" if network.target_names and data == "tabular" else None


def _gives(network: Network) -> str:
    if network.code is not None:
        return f"It gives its inputs again, flattened; the outputs of layer {network.code} (from 0) are the code."
    names = network.class_names or network.target_names
    # As JSON: a name may hold whatever letters it likes.
    listed = ", ".join(json.dumps(name, ensure_ascii=False).replace("`", "'") for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    if network.class_names:
        outputs = "margins" if network.architecture.last_activation == "linear" else "probabilities"
        one = (
            " of the second" if len(names) == 2 and network.architecture.shapes(network.input_shape)[-1] == (1,) else ""
        )
        return f"It gives {outputs}{one} of {len(names)} classes: `{listed}`{more}."
    return f"It gives {len(names)} scaled numbers: `{listed}`{more}."


def _scaling(network: Network) -> str:
    offset, scale = network.scaling.offset, network.scaling.scale
    if isinstance(offset, tuple) or isinstance(scale, tuple):
        return "numbers of their own for each value of an example, in `config.json`"
    return f"offset {offset:g} and scale {scale:g}"


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))


def _count(parameters: int | None) -> str:
    return "?" if parameters is None else f"{parameters:,}"
