"""The layers of a network that have weights of units to look at, and what each of them sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Layer, Shape
from nnpipe.plots.picture import Subject

if TYPE_CHECKING:
    import numpy as np

WEIGHTED = ("dense", "conv2d", "classification_rbm")
IN_PLACE = ("flatten", "dropout", "activation", "batch_norm")  # values keep their order, so that a map stays a map
CHANNELS_STAY = (*IN_PLACE, "max_pool2d", "avg_pool2d")


class Weights(NamedTuple):
    """A layer with weights.

    place: in the spec, from 0.
    weight: (units, inputs), or (filters, channels, height, width).
    sees: the shape of an example, (features,) or (channels, height, width), even where a flatten stands between.
    between: the kinds of layers between this one and the one with weights below, or the input.
    """

    place: int
    layer: Layer
    weight: np.ndarray
    sees: Shape
    between: tuple[str, ...]


def weights_of(subject: Subject) -> list[Weights]:
    """From the first; those inside of other layers are left out."""
    model = Model.model_validate(subject.document["architecture"])
    sees = tuple(subject.document["input_shape"])
    found: list[Weights] = []
    between: tuple[str, ...] = ()
    for place, (layer, shape) in enumerate(zip(model.layers, model.shapes(sees), strict=True)):
        if layer.kind in WEIGHTED:
            found.append(Weights(place, layer, subject.tensors[f"layers.{place}.weight"], sees, between))
        between = () if layer.kind in WEIGHTED else (*between, layer.kind)
        sees = sees if layer.kind in IN_PLACE else shape
    return found
