"""The halves of an autoencoder, each a network by itself: the encoder gives the code, the decoder the data again."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from nnpipe.errors import UsageError
from nnpipe.models.architecture import Model
from nnpipe.models.scaling import Scaling

if TYPE_CHECKING:
    from nnpipe.models.layers.layer import Shape
    from nnpipe.models.network import Network

PartName = Literal["whole", "encoder", "decoder"]


def part_of(network: Network, part: PartName) -> Network:
    """``network`` itself, or a copy of its layers up to the code, or of those behind it.

    The encoder's outputs are numbers called ``code_0`` and on. The decoder reads a code, which is not scaled; its
    outputs are numbers, scaled as the data are and called as ``value_names`` says.

    Raises:
        UsageError: a half is wanted of what is no autoencoder.
    """
    if part == "whole":
        return network
    if network.code is None:
        raise UsageError(
            f"this network has no {part}",
            expected="an autoencoder: a network with model.unroll, or pretrained layers",
            found="a network whose outputs are not its inputs again",
            hint="leave the part out: the network leaves as a whole",
        )
    behind = network.code + 1
    code = network.architecture.shapes(network.input_shape)[network.code]
    if part == "encoder":
        return _cut(network, 0, behind, network.input_shape, scaling=network.scaling, target_names=code_names(code[0]))
    answers = {"target_names": value_names(network.input_shape), "target_scaling": network.scaling}
    return _cut(network, behind, len(network.architecture.layers), code, scaling=Scaling(), **answers)


def code_names(units: int) -> tuple[str, ...]:
    """What the numbers of a code are called."""
    return tuple(f"code_{unit}" for unit in range(units))


def value_names(shape: Shape) -> tuple[str, ...]:
    """What the values of an example are called, flattened: ``feature_5``; of images ``pixel_ROW_COLUMN``.

    Of images with several channels ``pixel_CHANNEL_ROW_COLUMN``. All numbers are from 0.
    """
    if len(shape) == 1:
        return tuple(f"feature_{place}" for place in range(shape[0]))
    axes = shape[1:] if shape[0] == 1 else shape
    return tuple("pixel_" + "_".join(map(str, place)) for place in product(*map(range, axes)))


def _cut(network: Network, start: int, stop: int, shape: Shape, **about: Any) -> Network:
    """The layers from ``start`` to before ``stop``, for examples of ``shape``, as a network that ``about`` tells of."""
    from nnpipe.models.network import load_network

    tensors = {
        f"layers.{place - start}.{name}": tensor.numpy(force=True)
        for place in range(start, stop)
        for name, tensor in network.layers[place].state_dict().items()
    }
    model = Model(layers=network.architecture.layers[start:stop])
    return load_network(tensors, {"architecture": model, "input_shape": shape, "class_names": (), **about})
