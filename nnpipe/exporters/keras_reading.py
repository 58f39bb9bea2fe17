"""Weights in Keras's order back into ours.

Where each number goes is told by the way there: the places of our numbers, put in Keras's order as weights would be,
say which of ours each of Keras's is. So every layer that leaves comes back, and nothing is said twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import read_document
from nnpipe.exporters.keras_document import keras_document
from nnpipe.models.architecture import Model

if TYPE_CHECKING:
    import numpy as np

Saved = Mapping[str, "np.ndarray"]  # the weights of one layer, by Keras's names for them

# What a layer does without where it has none: then it is added, or multiplied with, all the same.
ABSENT = {"bias": 0.0, "beta": 0.0, "gamma": 1.0}


def read_config(text: object, path: Path) -> dict[str, Any]:
    """The configuration of a model, which is JSON.

    Raises:
        DataError: it is none.
    """
    try:
        config = json.loads(text) if isinstance(text, str | bytes) else None
    except ValueError:
        config = None
    if not isinstance(config, dict):
        found = "something else" if text else "none"
        raise DataError("the file does not say what network it holds", where=str(path), expected="JSON", found=found)
    return config


def told_document(document: object, config: object, path: Path) -> dict[str, Any]:
    """The document that nnpipe wrote into the file; of a file of others, what the configuration says."""
    if document:
        return read_document(document, path)
    return keras_document(read_config(config, path), str(path))


def our_tensors(document: Mapping[str, Any], saved: Sequence[Saved], path: Path) -> dict[str, np.ndarray]:
    """The tensors of the network of ``document``, by our names, float32.

    saved: of each layer that has weights, in the order of the layers.

    Raises:
        DataError: they are not of this network.
    """
    import numpy as np

    from nnpipe.exporters.exporter import weights
    from nnpipe.exporters.keras_layers import keras_layers
    from nnpipe.models.network import network_of

    _check_size(document, saved, path)
    network = network_of(document)
    ours = weights(network)
    places = _numbered(ours)
    layers = [layer for layer in keras_layers(network, places) if layer.weights]
    if len(layers) != len(saved):
        raise _misfit(path, f"{len(layers)} layers with weights", f"{len(saved)}")
    numbers = np.concatenate([tensor.ravel() for tensor in ours.values()])
    for layer, found in zip(layers, saved, strict=True):
        for name, there in layer.weights.items():
            numbers[there.ravel()] = _given(found, name, there.shape, f"{layer.name}/{name}", path)
    return {name: numbers[place.ravel()].reshape(place.shape) for name, place in places.items()}


def _numbered(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each number of ``tensors`` its place among all of them."""
    import numpy as np

    places, start = {}, 0
    for name, tensor in tensors.items():
        places[name] = np.arange(start, start + tensor.size).reshape(tensor.shape)
        start += tensor.size
    return places


def _given(found: Saved, name: str, shape: tuple[int, ...], where: str, path: Path) -> np.ndarray | float:
    if name not in found and name in ABSENT:
        return ABSENT[name]
    array = found.get(name)
    if array is None or array.shape != shape or array.dtype.kind != "f":
        there = "none" if array is None else f"{array.dtype} of shape {array.shape}"
        raise _misfit(path, f"{where} of shape {shape}", there)
    flat: np.ndarray = array.ravel()
    return flat


def _check_size(document: Mapping[str, Any], saved: Iterable[Saved], path: Path) -> None:
    """Refuse a network that says it is larger than its weights are, before there is memory for it."""
    shape = tuple(document["input_shape"])
    wanted = Model.model_validate(document["architecture"]).parameters(shape) or 0
    layers = list(saved)
    # A layer without a bias is given one.
    there = sum(array.size + max(array.shape, default=0) for layer in layers for array in layer.values())
    if wanted > there:
        raise _misfit(path, f"{wanted:,} weights", f"{sum(a.size for layer in layers for a in layer.values()):,}")


def _misfit(path: Path, expected: str, found: str) -> DataError:
    return DataError("weights that are not of this network", where=str(path), expected=expected, found=found)
