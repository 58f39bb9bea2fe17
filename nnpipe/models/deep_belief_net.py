"""Samples of a deep belief net: Gibbs sampling in its top machine, then down to data.

Hinton, Osindero & Teh 2006, section 7: what the net dreams of, with a label held, or with a hidden unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.models.classification_machine import ClassificationMachine
from nnpipe.models.generative import Generative, sampled

LABEL_WEIGHT = ".label_weight"


class DeepBeliefNet:
    """machine: the top, with or without labels; generative: the way down from its visible units."""

    def __init__(self, machine: ClassificationMachine, generative: Generative) -> None:
        self.machine, self.generative = machine, generative

    @classmethod
    def learned(cls, network: Mapping[str, np.ndarray], generative: Mapping[str, np.ndarray]) -> DeepBeliefNet:
        """From the tensors of a network that ends with a classification machine, and of its way down."""
        top = next(name.removesuffix(LABEL_WEIGHT) for name in network if name.endswith(LABEL_WEIGHT))
        way = {name: _tensor(array) for name, array in generative.items()}
        depth = sum(name.endswith(".weight") for name in way)
        weights, biases = ([way[f"layers.{k}.{name}"] for k in range(depth)] for name in ("weight", "bias"))
        machine = {name.removeprefix(f"{top}."): array for name, array in network.items() if name.startswith(f"{top}.")}
        return cls(_machine(machine), Generative(weights, biases, way["visible_bias"]))

    @classmethod
    def pretrained(cls, layers: Sequence[Mapping[str, np.ndarray]]) -> DeepBeliefNet:
        """From Boltzmann machines learned one on top of the other, of whose weights each is used both ways."""
        weights, biases = ([_tensor(layer[name]) for layer in layers] for name in ("weight", "visible_bias"))
        return cls(_machine(layers[-1]), Generative.transposed(weights, biases))

    @torch.no_grad()
    def samples(
        self,
        count: int,
        steps: Sequence[int],
        generator: torch.Generator,
        labels: Tensor | None = None,
        unit: int | None = None,
    ) -> Tensor:
        """What each of ``count`` chains gives after so many Gibbs steps: (len(steps), count, inputs), probabilities.

        labels: (count,) int64, to be held; None: they are sampled with all else.
        unit: a hidden unit of the top machine to be held at 1.
        Chains start at visible units that are on as their biases say, and labels likewise.
        """
        machine, visible_bias = self.machine, self.generative.visible_bias
        v = sampled(visible_bias.sigmoid().expand(count, -1), generator)
        given = self._labels(machine.label_bias.softmax(0).expand(count, -1), labels, generator)
        found = {}
        for step in range(1, max(steps) + 1):
            hidden = sampled(machine.hidden_probabilities(v, given), generator)
            if unit is not None:
                hidden[:, unit] = 1
            probabilities = machine.visible_probabilities(hidden, visible_bias)
            v = sampled(probabilities, generator)
            given = self._labels(machine.label_probabilities(hidden), labels, generator)
            if step in steps:
                found[step] = self.generative.down(v, generator)[0] if self.generative.layers else probabilities
        return torch.stack([found[step] for step in steps])

    def _labels(self, probabilities: Tensor, held: Tensor | None, generator: torch.Generator) -> Tensor:
        classes = probabilities.shape[1]
        if not classes:
            return probabilities
        chosen = probabilities.multinomial(1, generator=generator)[:, 0] if held is None else held
        return F.one_hot(chosen, classes).to(probabilities.dtype)


def _machine(tensors: Mapping[str, np.ndarray]) -> ClassificationMachine:
    hidden, inputs = tensors["weight"].shape
    machine = ClassificationMachine(inputs, hidden, len(tensors.get("label_bias", ())))
    own = {name: _tensor(tensors[name]) for name in machine.state_dict() if name in tensors}
    machine.load_state_dict(own, strict="label_weight" in tensors)
    return machine


def _tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float32)
