"""The weights of each layer as Keras's two formats keep them: by names of layers, or by classes of layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nnpipe.errors import DataError
from nnpipe.exporters.keras_config import INPUT, Config, described_layers
from nnpipe.exporters.keras_reading import Saved, read_config
from nnpipe.store.hdf5_tree import Group


def saved_by_name(root: Group, config: object, path: Path) -> list[Saved]:
    """Of a file ``.h5`` whose layers ``config`` describes: what each layer with weights holds, in the order of layers.

    Raises:
        DataError: there are none.
    """
    saved = root.groups.get("model_weights")
    if saved is None:
        what, expected = "the file holds no weights", "what model.save writes, not the architecture alone"
        raise DataError(what, where=str(path), expected=expected)
    names = [layer["config"].get("name") for layer in described_layers(read_config(config, path))]
    found = [dict(_arrays(saved.groups.get(str(name), Group()))) for name in names]
    return [arrays for arrays in found if arrays]


def saved_by_class(root: Group, config: bytes, path: Path) -> list[Saved]:
    """The same of ``model.weights.h5`` in a file ``.keras``, whose layers ``config`` describes."""
    layers = [each for each in described_layers(read_config(config, path)) if each.get("class_name") != INPUT]
    kept = root.groups.get("layers", Group()).groups
    found = []
    for layer, place in zip(layers, group_names(str(layer.get("class_name")) for layer in layers), strict=True):
        arrays = kept.get(place, Group()).groups.get("vars", Group()).arrays
        found.append({name: arrays[str(n)] for n, name in enumerate(_weight_names(layer)) if str(n) in arrays})
    return [arrays for arrays in found if arrays]


def group_names(classes: Iterable[str]) -> Iterable[str]:
    """What the groups of layers of ``classes`` are called: the class in small letters, and how many went before."""
    seen: Counter[str] = Counter()
    for class_name in classes:
        name = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)).lower()
        yield f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1


def _weight_names(layer: Config) -> list[str]:
    """What Keras calls the weights of a layer, in the order in which it numbers them."""
    options: dict[str, Any] = dict(layer["config"])
    match layer.get("class_name"):
        case "Dense" | "Conv2D":
            return ["kernel", "bias"] if options.get("use_bias", True) else ["kernel"]
        case "BatchNormalization":
            learnt = {"gamma": options.get("scale", True), "beta": options.get("center", True)}
            return [*(name for name, there in learnt.items() if there), "moving_mean", "moving_variance"]
    return []


def _arrays(group: Group) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a group and of those in it; ``sequential/dense/kernel:0`` is the kernel."""
    for name, array in group.arrays.items():
        yield name.partition(":")[0], array
    for inside in group.groups.values():
        yield from _arrays(inside)
