"""What fine-tuning does for an autoencoder alone: its checks, and a decoder that starts from what was pretrained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import Shape, ShapeError
from nnpipe.models.unrolling import Unroll
from nnpipe.training.losses.inputs import check_loss_of_inputs
from nnpipe.training.losses.loss import Loss, LossError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples


def check_reconstruction(model: Model, shape: Shape, loss: Loss) -> None:
    """Refuse data of ``shape`` that the encoder cannot read, and a loss that does not compare inputs."""
    try:
        model.shapes(shape)
        if model.unroll:
            check_loss_of_inputs(model.unroll, loss)
    except ShapeError as error:
        raise misfit(error) from error


def misfit(error: ShapeError) -> StageError:
    """What a stage says of data that do not fit the network or the loss."""
    layer = "model.layers" if error.index is None else f"model.layers.{error.index}"
    where = "train.loss" if isinstance(error, LossError) else layer
    return StageError(error.what, where=where, expected=error.expected, found=error.found, hint=error.hint)


def check_range(unroll: Unroll, examples: Examples, scaling: str) -> None:
    """Refuse training examples with values that sigmoid outputs cannot reach. scaling: as the spec says it."""
    from nnpipe.training.examples import are_probabilities

    if unroll.output != "sigmoid":
        return
    low, high = examples.extremes()
    if not are_probabilities(low, high):
        raise StageError(
            "sigmoid units give values from 0 to 1, and the inputs to give back are others",
            where=f"training examples, with data.scaling {scaling}",
            expected="values from 0 to 1",
            found=f"values from {low:g} to {high:g}",
            hint="set data.scaling: unit, or model.unroll: {output: linear} and train.loss: mean_squared_error",
        )


def start_decoder_from(network: Network, pretrained: Sequence[Mapping[str, np.ndarray]]) -> list[nn.Module]:
    """Let the layer that mirrors a pretrained one start from what that one decoded with; these layers.

    Its weights are ``decoder_weight`` or else ``weight`` transposed, its biases ``visible_bias``. Where visible units
    have a variance, ``log_variance``, their mean is that times what they sum, so it goes into the weights.
    Layers that were not pretrained have mirror images with weights drawn as any other.
    """
    import numpy as np
    import torch

    layers = zip(network.architecture.layers, network.layers, strict=True)
    dense, filled = [module for layer, module in layers if isinstance(layer, Dense)], []
    for module, tensors in zip(reversed(dense), pretrained, strict=False):
        assert isinstance(module, torch.nn.Linear)
        filled.append(module)
        weight = tensors["decoder_weight"] if "decoder_weight" in tensors else tensors["weight"].T
        if "log_variance" in tensors:
            weight = np.exp(tensors["log_variance"])[:, None] * weight
        with torch.no_grad():
            module.weight.copy_(torch.tensor(weight.copy()))
            module.bias.copy_(torch.tensor(tensors["visible_bias"]))
    return list(filled)
