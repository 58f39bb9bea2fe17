"""A stack of pretrained layers as a network: the way up to the code of the last, and the way down from there.

The way up is what pretraining represents examples by, layer after layer. The way down is what each layer reconstructs
what it saw with: of a Boltzmann machine the means of visible units, given those of hidden ones (mean field).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from nnpipe.errors import UsageError
from nnpipe.models.activations import Activation
from nnpipe.models.architecture import Model
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.layer import Layer, Shape
from nnpipe.models.layers.reshape import Reshape
from nnpipe.models.parts import PartName, code_names, part_of
from nnpipe.stages.pretrained import Tensors
from nnpipe.stages.starting import start_from
from nnpipe.stages.unroll import start_decoder_from

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.models.network import Network
    from nnpipe.models.scaling import Scaling

ORDER_ALONE = ("flatten", "reshape")  # kinds of layers that change no value
COPIES = {"visible": 0.5, "hidden": 2.0}  # of a doubled side, how much of the weights one copy of the other hears


@dataclass(frozen=True)
class PretrainedLayer:
    """A layer that was pretrained.

    between: what the representation below, or the data, went through before the layer saw it.
    tensors: as pretraining left them.
    visible_activation: of what it reconstructs.
    doubled: the side of a Boltzmann machine that was there twice; empty: none.
    """

    layer: Layer
    between: tuple[Layer, ...]
    tensors: Tensors
    visible_activation: Activation
    doubled: str = ""

    @property
    def way_back(self) -> Tensors:
        """The tensors with the weights that lead from what the layer gives to what it saw."""
        if not self.doubled:
            return self.tensors
        return {**self.tensors, "decoder_weight": COPIES[self.doubled] * self.tensors["weight"].T}


def pretrained_network(taught: Sequence[PretrainedLayer], shape: Shape, scaling: Scaling, part: PartName) -> Network:
    """A part of the autoencoder that the layers ``taught`` make, from the first, for examples of ``shape``.

    The code is a vector whatever the last layer gives.

    Raises:
        UsageError: ``part`` needs a way back, and a network has no layer for it.
    """
    import torch

    from nnpipe.models.network import Network

    up, shapes = _way_up(taught, shape)
    tensors = [each.tensors for each in taught]
    if part == "encoder":
        names = code_names(prod(shapes[-1]))
        network = Network(Model(layers=up), shape, scaling, (), torch.Generator(), names)
        start_from(network, tensors)
        return network.eval()
    model, code = Model(layers=(*up, *_way_down(taught, shapes))), len(up) - 1
    network = Network(model, shape, scaling, (), torch.Generator(), code=code)
    start_from(network, tensors)
    start_decoder_from(network, [each.way_back for each in taught if isinstance(each.layer, Dense)])
    _fill_convolutions_back(network, code, taught)
    return part_of(network.eval(), part)


def _way_up(taught: Sequence[PretrainedLayer], shape: Shape) -> tuple[list[Layer], list[Shape]]:
    """Layers, the last of which gives a vector; the shape of one example, and of what each of ``taught`` gives."""
    layers: list[Layer] = []
    shapes = [shape]
    for each in taught:
        for layer in (*each.between, each.layer):
            if layer.flattens and len(shape) == 3:
                layers.append(Flatten())
                shape = Flatten().output_shape(shape)
            layers.append(layer)
            shape = layer.output_shape(shape)
        shapes.append(shape)
    return [*layers, *([Flatten()] if len(shape) == 3 else [])], shapes


def _way_down(taught: Sequence[PretrainedLayer], shapes: Sequence[Shape]) -> list[Layer]:
    """Layers from the code to the values of an example, flattened. shapes: as ``_way_up`` gives them."""
    layers: list[Layer] = []
    reached: Shape = (prod(shapes[-1]),)
    for number in range(len(taught), 0, -1):
        each, gave, below = taught[number - 1], shapes[number], shapes[number - 1]
        _check_way_back(each, number)
        if reached != gave:
            layers.append(Reshape(shape=gave) if len(gave) == 3 else Flatten())
        activation = each.visible_activation
        if isinstance(each.layer, Conv2d):
            seen = _seen(each, below)
            layers.append(each.layer.model_copy(update={"filters": seen[0], "activation": activation}))
            reached = seen
        else:
            reached = (prod(below),)  # what is between changes no value
            layers.append(Dense(units=reached[0], activation=activation))
    return [*layers, *([Flatten()] if len(reached) == 3 else [])]


def _seen(each: PretrainedLayer, below: Shape) -> Shape:
    """The shape of one example as the layer saw it."""
    for layer in each.between:
        below = layer.output_shape(below)
    return below


def _check_way_back(each: PretrainedLayer, number: int) -> None:
    """Refuse what no layer undoes."""
    wrong = next((f"layer {layer.kind} before it" for layer in each.between if layer.kind not in ORDER_ALONE), None)
    if "visible_bias" not in each.tensors:
        wrong = "a layer that learnt by labels alone"
    elif not isinstance(each.layer, Dense | Conv2d):
        wrong = f"layer {each.layer.kind}"
    elif isinstance(each.layer, Conv2d) and not _keeps_size(each.layer):
        wrong = "layer conv2d that gives fewer rows or columns than it reads"
    if wrong:
        raise UsageError(
            f"there is no layer for the way back through pretrained layer {number}",
            expected="dense layers, conv2d with stride 1 and padding same, and flatten and reshape between them",
            found=wrong,
            hint="--part encoder leaves the way back out",
        )


def _keeps_size(layer: Conv2d) -> bool:
    """Whether its transposed convolution is a convolution with as many zeros around."""
    places = zip(layer.zeros, layer.reach, strict=True)
    return layer.stride == (1, 1) and all(2 * zeros == reach - 1 for zeros, reach in places)


def _fill_convolutions_back(network: Network, code: int, taught: Sequence[PretrainedLayer]) -> None:
    """Give the convolutions behind the code what those before it decode with, the last of them the first's."""
    import torch

    layers = list(zip(network.architecture.layers, network.layers, strict=True))
    back = [(layer, module) for layer, module in reversed(layers[code + 1 :]) if isinstance(layer, Conv2d)]
    tensors = [each.tensors for each in taught if isinstance(each.layer, Conv2d)]
    for (layer, module), theirs in zip(back, tensors, strict=True):
        weight = theirs["decoder_weight" if "decoder_weight" in theirs else "weight"]
        with torch.no_grad():
            module.get_parameter("weight").copy_(torch.tensor(_turned(weight, layer.groups)))
            module.get_parameter("bias").copy_(torch.tensor(theirs["visible_bias"]))


def _turned(weight: np.ndarray, groups: int) -> np.ndarray:
    """The kernels of the convolution that is the transposed one by ``weight``, (filters, channels / groups, ...).

    Turned by half a circle, with inputs in place of outputs in each group: (channels, filters / groups, ...).
    """
    import numpy as np

    filters, channels, *kernel = weight.shape
    grouped = weight[:, :, ::-1, ::-1].reshape(groups, filters // groups, channels, *kernel)
    return np.ascontiguousarray(grouped.swapaxes(1, 2).reshape(groups * channels, filters // groups, *kernel))
