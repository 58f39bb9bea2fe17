"""The network that computes: one torch module a layer of its spec, in the same order, and nothing else.

A network and its document (``save_document``) together are the whole model: how to scale, what to compute, what the
outputs are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnpipe.errors import DataError
from nnpipe.models.activations import activation_function
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape, WeightedLayer
from nnpipe.models.scaling import Scaling
from nnpipe.models.seeded_dropout import SeededDropout


class Network(nn.Module):
    """``architecture`` for examples of ``input_shape``, first weights drawn from ``generator``.

    layers: index = place in the spec; their parameters are ``layers.<i>.weight`` and ``layers.<i>.bias``.
    Inputs x are scaled float32: (batch, *input_shape).
    class_names: empty where the outputs are numbers, ``target_names``, scaled by ``target_scaling``.
    """

    def __init__(
        self,
        architecture: Model,
        input_shape: Shape,
        scaling: Scaling,
        class_names: Sequence[str],
        generator: torch.Generator,
        target_names: Sequence[str] = (),
        target_scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.architecture, self.input_shape = architecture, tuple(input_shape)
        self.scaling, self.class_names = scaling, tuple(class_names)
        self.target_names, self.target_scaling = tuple(target_names), target_scaling or Scaling()
        first = architecture.first_shape(self.input_shape)
        self.reads_vectors = len(first) == 1
        shapes = [first, *architecture.shapes(self.input_shape)]
        self.layers = nn.ModuleList(
            layer.build(shape, generator) for layer, shape in zip(architecture.layers, shapes, strict=False)
        )
        self._functions = [
            activation_function(layer.activation if isinstance(layer, WeightedLayer) else "linear")
            for layer in architecture.layers
        ]
        # Kernels with their channels last in memory: a tenth faster on CPUs, faster on GPUs; shapes stay the same.
        self.to(memory_format=torch.channels_last)

    def logits(self, x: Tensor) -> Tensor:
        """Everything but the last layer's activation: (batch, outputs)."""
        x = self._first(x)
        for layer, function in zip(self.layers[:-1], self._functions, strict=False):
            x = function(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, (batch, outputs): probabilities where the last activation is softmax or sigmoid."""
        return self.outputs(self.logits(x))

    def outputs(self, logits: Tensor) -> Tensor:
        """The last layer's activation of ``logits``."""
        return self._functions[-1](logits)

    def _first(self, x: Tensor) -> Tensor:
        return x.flatten(1) if self.reads_vectors else x

    def activations(self, x: Tensor) -> list[Tensor]:
        """What leaves each layer, in order; the last is ``forward(x)``."""
        found, x = [], self._first(x)
        for layer, function in zip(self.layers, self._functions, strict=True):
            x = function(layer(x))
            found.append(x)
        return found

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities, (batch, classes), and the class of each example, (batch,) int64.

        Of one sigmoid unit both classes' probabilities are given; several sigmoid units need not sum to 1. Of linear
        outputs, which the hinge loss trains, the margins are given as they are: no function of them is a probability.
        """
        return self.decide(self.logits(x))

    def decide(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """What ``predict`` gives, from logits."""
        outputs = self.outputs(logits)
        if outputs.shape[1] == 1:
            other = -outputs if self.architecture.last_activation == "linear" else 1 - outputs
            outputs = torch.cat([other, outputs], 1)
        return outputs, classify(logits)

    def estimate(self, x: Tensor) -> Tensor:
        """Numbers in the data's units, (batch, targets), from a network that learnt numbers."""
        return self.in_units(self.forward(x))

    def in_units(self, outputs: Tensor) -> Tensor:
        """Outputs, which are scaled, as numbers in the data's units."""
        scaling = self.target_scaling
        return outputs * outputs.new_tensor(scaling.scale) + outputs.new_tensor(scaling.offset)

    def generators(self) -> dict[str, torch.Generator]:
        """The random state of layers that draw in training, by the layer's name."""
        return {
            f"layers.{index}": layer.generator
            for index, layer in enumerate(self.layers)
            if isinstance(layer, SeededDropout)
        }

    def place(self, device: torch.device | str) -> Network:
        """Move weights and generators to ``device``; generators start anew there."""
        for layer in self.layers:
            if isinstance(layer, SeededDropout):
                layer.place(torch.device(device))
        return self.to(device)


def classify(logits: Tensor) -> Tensor:
    """The class of each example, (batch,) int64, from (batch, outputs): the largest; of one unit, above 0.5."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long()
    return logits.argmax(1)


def save_document(network: Network) -> dict[str, Any]:
    """What a model is besides its weights, as JSON; ``target_names`` and ``target_scaling`` of numbers only."""
    document = {
        "architecture": network.architecture.model_dump(mode="json"),
        "input_shape": list(network.input_shape),
        "scaling": network.scaling.model_dump(mode="json"),
        "class_names": list(network.class_names),
    }
    if network.target_names:
        scaling = network.target_scaling.model_dump(mode="json")
        document |= {"target_names": list(network.target_names), "target_scaling": scaling}
    return document


def load_network(tensors: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Network:
    """The network of a document and its weights, in evaluation mode, on the CPU.

    Raises:
        DataError: weights and document are not of one model.
    """
    network = Network(
        Model.model_validate(about["architecture"]),
        tuple(about["input_shape"]),
        Scaling.model_validate(about["scaling"]),
        about["class_names"],
        torch.Generator().manual_seed(0),
        about.get("target_names", ()),
        Scaling.model_validate(about.get("target_scaling", {})),
    )
    weights = {name: torch.tensor(array) for name, array in tensors.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        raise DataError("weights that are not of this model", expected=str(shapes), found=str(found)) from error
    return network.eval()
