"""The network that computes: one torch module a layer of its spec, in the same order, and nothing else.

A network and its document (``save_document``) together are the whole model: how to scale, what to compute, what the
outputs are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnpipe.errors import DataError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape
from nnpipe.models.scaling import Scaling
from nnpipe.models.seeded import Seeded
from nnpipe.models.stack import Stack


class Network(Stack):
    """``architecture`` for examples of ``input_shape``, first weights drawn from ``generator``.

    Inputs x are scaled float32: (batch, *input_shape). ``layers[i]`` is the layer at place i of the spec.
    class_names: empty where the outputs are numbers, ``target_names``, scaled by ``target_scaling``.
    code: the place of the layer whose outputs are the code, where the outputs are the inputs again, flattened: of an
        autoencoder, which has neither classes nor targets.
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
        code: int | None = None,
    ) -> None:
        first = architecture.first_shape(tuple(input_shape))
        super().__init__(architecture.layers, first, generator)
        self.architecture, self.input_shape = architecture, tuple(input_shape)
        self.scaling, self.class_names = scaling, tuple(class_names)
        self.target_names, self.target_scaling = tuple(target_names), target_scaling or Scaling()
        self.code = code
        self.reads_vectors = len(first) == 1
        # Kernels with their channels last in memory: a tenth faster on CPUs, faster on GPUs; shapes stay the same.
        self.to(memory_format=torch.channels_last)

    def logits(self, x: Tensor) -> Tensor:
        """Everything but the last layer's activation: (batch, outputs)."""
        return super().logits(self._first(x))

    def activations(self, x: Tensor) -> list[Tensor]:
        """What leaves each layer, in order; the last is ``forward(x)``: (batch, outputs), probabilities or values."""
        return super().activations(self._first(x))

    def _first(self, x: Tensor) -> Tensor:
        return x.flatten(1) if self.reads_vectors else x

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
        return {name: layer.generator for name, layer in self.named_modules() if isinstance(layer, Seeded)}

    def place(self, device: torch.device | str) -> Network:
        """Move weights and generators to ``device``; generators start anew there."""
        for layer in self.modules():
            if isinstance(layer, Seeded):
                layer.place(torch.device(device))
        return self.to(device)


def classify(logits: Tensor) -> Tensor:
    """The class of each example, (batch,) int64, from (batch, outputs): the largest; of one unit, above 0.5."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long()
    return logits.argmax(1)


def save_document(network: Network) -> dict[str, Any]:
    """What a model is besides its weights, as JSON; ``target_names`` and ``target_scaling`` of numbers only.

    ``code`` of autoencoders only.
    """
    document: dict[str, Any] = {
        "architecture": network.architecture.model_dump(mode="json"),
        "input_shape": list(network.input_shape),
        "scaling": network.scaling.model_dump(mode="json"),
        "class_names": list(network.class_names),
    }
    if network.target_names:
        scaling = network.target_scaling.model_dump(mode="json")
        document |= {"target_names": list(network.target_names), "target_scaling": scaling}
    if network.code is not None:
        document["code"] = network.code
    return document


def network_of(about: Mapping[str, Any], architecture: Model | None = None) -> Network:
    """The network of a document, with first weights that mean nothing. Raises as ``load_network`` does."""
    return Network(
        _vouched_for(Model.model_validate(about["architecture"]), architecture),
        tuple(about["input_shape"]),
        Scaling.model_validate(about["scaling"]),
        about["class_names"],
        torch.Generator().manual_seed(0),
        about.get("target_names", ()),
        Scaling.model_validate(about.get("target_scaling", {})),
        about.get("code"),
    )


def load_network(
    tensors: Mapping[str, np.ndarray], about: Mapping[str, Any], architecture: Model | None = None
) -> Network:
    """The network of a document and its weights, in evaluation mode, on the CPU.

    architecture: the caller's own. A document alone never says whose code is run: it is refused if it names a layer of
    somebody's own, unless the caller names the same.

    Raises:
        DataError: weights and document are not of one model, or a layer of somebody's own is not vouched for.
    """
    needed = Model.model_validate(about["architecture"]).parameters(tuple(about["input_shape"]))
    given = sum(array.size for array in tensors.values())
    if needed is not None and needed > given:  # before room is made for them
        expected = f"at least {needed:,} numbers"
        raise DataError("weights that are not of this model", expected=expected, found=f"{given:,}")
    network = network_of(about, architecture)
    weights = {name: torch.tensor(array) for name, array in tensors.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        raise DataError("weights that are not of this model", expected=str(shapes), found=str(found)) from error
    return network.eval()


def _vouched_for(found: Model, architecture: Model | None) -> Model:
    """What to build: ``found``, or ``architecture`` in its place where ``found`` names classes to import."""
    custom = [layer for _, layer in found.at_any_depth() if layer.kind == "custom"]
    if not custom:
        return found
    if architecture is None or architecture.model_dump(mode="json") != found.model_dump(mode="json"):
        raise DataError(
            "a file cannot say whose code is run, and this network has a layer of somebody's own",
            expected="layers that nnpipe has, or the spec that names the same ones",
            found=", ".join(f"class {layer.model_dump()['class']}" for layer in custom),
            hint="name the format under 'export' in the network's spec and run it: a spec is yours to vouch for",
        )
    return architecture
