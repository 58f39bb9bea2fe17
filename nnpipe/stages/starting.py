"""First weights: from layers that were pretrained, from what another run left in the store, and from a file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import WeightedLayer, shown
from nnpipe.stages.pretrained import JOINT, Tensors, joint_layers
from nnpipe.store.artifact import Artifact
from nnpipe.training.start import Start, StartLayer

if TYPE_CHECKING:
    from torch import nn

    from nnpipe.models.network import Network


def start_from(network: Network, pretrained: Iterable[Tensors]) -> list[nn.Module]:
    """Copy the weights and biases of pretrained layers into the first layers that have weights, in order; these."""
    import torch

    layers = zip(network.architecture.layers, network.layers, strict=True)
    weighted, filled = (module for layer, module in layers if isinstance(layer, WeightedLayer)), []
    for number, tensors in enumerate(pretrained, start=1):
        module = next(weighted)
        filled.append(module)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if tensors[name].shape != tuple(parameter.shape):
                    raise StageError(
                        f"pretrained layer {number} does not fit the network",
                        expected=f"{name} of shape {tuple(parameter.shape)}",
                        found=f"{tensors[name].shape}",
                    )
                parameter.copy_(torch.tensor(tensors[name]))
    return filled


def start_from_run(network: Network, artifact: Artifact, start: Start) -> list[nn.Module]:
    """Copy what ``start`` says from an artifact of the stages finetune or pretrain; the layers that were filled.

    Raises:
        StageError: the artifact has no such layer, or one of another shape.
    """
    theirs, filled = _layers(artifact), []
    ours = [
        module
        for layer, module in zip(network.architecture.layers, network.layers, strict=True)
        if isinstance(layer, WeightedLayer)
    ]
    for each in start.layers_of(network.architecture):
        if each.other > len(theirs) and start.layers is None:
            continue
        if each.other > len(theirs):
            raise StageError(
                f"layer {each.layer} cannot start from layer {each.other} of {start.ref}",
                where="train.start.layers",
                expected=f"a layer from 1 to {len(theirs)}",
                found=str(each.other),
            )
        _fill(ours[each.layer - 1], theirs[each.other - 1], each, start.ref)
        filled.append(ours[each.layer - 1])
    return filled


def start_from_file(network: Network, artifact: Artifact, keep: int) -> list[nn.Module]:
    """Copy all that the first ``keep`` layers of an imported network know, running means too; those with weights.

    Raises:
        StageError: it read examples of another shape.
    """
    import torch

    tensors, document = artifact.tensors("model")
    theirs, ours, filled = tuple(document["input_shape"]), network.input_shape, []
    # A vector that was made of several channels may have them in either order.
    same = theirs == ours or (math.prod(theirs) == math.prod(ours) and 1 in (theirs[0], ours[0]))
    for index, module in enumerate(network.layers[:keep]):
        place = f"layers.{index}."
        found = {name.removeprefix(place): torch.tensor(tensors[name]) for name in tensors if name.startswith(place)}
        there = module.state_dict()
        if not same or any(found[name].shape != tensor.shape for name, tensor in there.items()):
            raise StageError(
                "the network of the file reads other examples than the data has",
                where="model.from",
                expected=f"examples of shape {shown(theirs)}",
                found=f"examples of shape {shown(ours)}",
            )
        module.load_state_dict(found)
        filled += [module] if found else []
    return filled


def _layers(artifact: Artifact) -> list[Tensors]:
    """The tensors of each layer with weights by name, weight, bias, ..., in order."""
    if artifact.manifest.stage == JOINT:
        return joint_layers(artifact)
    if artifact.manifest.stage.startswith("pretrain/"):
        return [artifact.tensors("layer")[0]]
    tensors, about = artifact.tensors("model")
    layers = Model.model_validate(about["architecture"]).layers
    places = [f"layers.{index}." for index, layer in enumerate(layers) if isinstance(layer, WeightedLayer)]
    return [{name.removeprefix(p): tensors[name] for name in tensors if name.startswith(p)} for p in places]


def _fill(module: nn.Module, tensors: Tensors, each: StartLayer, ref: str) -> None:
    import torch

    found = dict(tensors)
    if each.transposed and tensors["weight"].ndim != 2:
        raise StageError(
            f"layer {each.other} of {ref} cannot be transposed",
            where="train.start.layers",
            expected="a matrix of weights, as dense layers have",
            found=f"weights of shape {tensors['weight'].shape}",
        )
    if each.transposed:
        found = {"weight": tensors["weight"].T}
        if "visible_bias" in tensors:
            found["bias"] = tensors["visible_bias"]
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name not in found and each.transposed:
                continue
            if name not in found or found[name].shape != tuple(parameter.shape):
                shape = tuple(found[name].shape) if name in found else "none"
                turned = name == "weight" and found[name].T.shape == tuple(parameter.shape)
                raise StageError(
                    f"layer {each.layer} cannot start from layer {each.other} of {ref}",
                    where="train.start",
                    expected=f"{name} of shape {tuple(parameter.shape)}",
                    found=f"{name} of shape {shape}{', transposed' if each.transposed else ''}",
                    hint=f"set transposed: {'false' if each.transposed else 'true'}" if turned else None,
                )
            parameter.copy_(torch.tensor(found[name]))
