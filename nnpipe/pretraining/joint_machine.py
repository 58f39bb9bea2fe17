"""Contrastive divergence of inputs and labels together: the gradient that teaches the top of a deep belief net.

Hinton, Osindero & Teh 2006, section 5: the label units are a softmax group beside the inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.models.activations import activation_function
from nnpipe.models.classification_machine import ClassificationMachine
from nnpipe.models.generative import sampled
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.pretraining.contrast import Pairs, contrast
from nnpipe.pretraining.objective import SAMPLES, WEIGHTS, logit_bias
from nnpipe.training.precision import Precision, products_in
from nnpipe.training.seeds import generator

FIRST_WEIGHTS = 0.01  # standard deviation; Hinton 2010, section 8


class JointMachine(ClassificationMachine):
    """A machine whose inputs have their bias too, so that it is a model of p(v, y). visible_bias: (inputs,)."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__(inputs, hidden, classes)
        self.visible_bias = nn.Parameter(torch.zeros(inputs))


class JointContrastiveDivergence:
    """A ``LayerObjective`` of examples with labels y, (batch,) int64.

    mean: (inputs,), of the training examples. Values between 0 and 1 are probabilities of being on.
    steps, weight_decay, chains: as for a machine without labels. One step from the data reconstructs inputs and labels
        with probabilities; more steps, and persistent chains, sample both, and hidden units are probabilities at last.
    precision: of the products of a learning step; what is measured is float32.

    Measures ``reconstruction_error``, squared and summed over inputs; ``free_energy``, of inputs with their labels;
    ``accuracy``, how often the class of the least free energy is right.
    """

    def __init__(
        self,
        layer: ClassificationRbm,
        mean: Tensor,
        seed: int,
        steps: int = 1,
        weight_decay: float = 0.0,
        chains: int = 0,
        precision: Precision = "float32",
    ) -> None:
        self.module = JointMachine(len(mean), layer.hidden, layer.classes)
        self.layer, self.steps, self.weight_decay, self.persistent = layer, steps, weight_decay, chains > 0
        self.precision: Precision = precision
        weights = generator(seed, WEIGHTS)
        with torch.no_grad():
            self.module.weight.normal_(0, FIRST_WEIGHTS, generator=weights)
            self.module.label_weight.normal_(0, FIRST_WEIGHTS, generator=weights)
            self.module.visible_bias.copy_(logit_bias(mean))
        if self.persistent:  # a buffer, so that checkpoints have it
            self.module.register_buffer("chains", sampled(torch.full((chains, layer.hidden), 0.5), weights))
        self.module.to(mean.device)
        self._generator = generator(seed, SAMPLES, device=mean.device)
        self.generators = {"samples": self._generator}

    @torch.no_grad()
    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of the machine. x: (batch, ...) from 0 to 1."""
        machine, v, labels = self.module, x.flatten(1), self._one_hot(y)
        with products_in(self.precision, v.device.type):
            h = machine.hidden_probabilities(v, labels)
            start = machine.get_buffer("chains") if self.persistent else self._sample(h)
            reconstruction = machine.visible_probabilities(h if self.persistent else start, machine.visible_bias)
            if self.persistent or self.steps > 1:
                model_v, model_labels, model_h = self._chain(start)
            else:
                model_v, model_labels = reconstruction, machine.label_probabilities(start)
                model_h = machine.hidden_probabilities(model_v, model_labels)
            self._fill((v, labels, h), (model_v, model_labels, model_h))
        return self._measures(v, labels, reconstruction)

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The same measures, nothing sampled: reconstructions are made from hidden probabilities."""
        v, labels = x.flatten(1), self._one_hot(y)
        h = self.module.hidden_probabilities(v, labels)
        return self._measures(v, labels, self.module.visible_probabilities(h, self.module.visible_bias))

    @torch.no_grad()
    def represent(self, x: Tensor) -> Tensor:
        """What the layer gives in a network, (batch, classes): p(class | x) where its activation is softmax."""
        return activation_function(self.layer.activation)(self.module(x.flatten(1)))

    def _one_hot(self, y: Tensor | None) -> Tensor:
        if y is None:
            raise TypeError("a machine of inputs and labels learns from examples with labels")
        return F.one_hot(y, self.layer.classes).to(torch.float32)

    def _chain(self, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``steps`` of Gibbs sampling from hidden states: visible and label states, hidden probabilities."""
        machine, states = self.module, start
        for _ in range(self.steps):
            v = self._sample(machine.visible_probabilities(states, machine.visible_bias))
            chosen = machine.label_probabilities(states).multinomial(1, generator=self._generator)
            labels = self._one_hot(chosen[:, 0])
            h = machine.hidden_probabilities(v, labels)
            states = self._sample(h)
        if self.persistent:
            start.copy_(states)
        return v, labels, h

    def _sample(self, probabilities: Tensor) -> Tensor:
        return sampled(probabilities, self._generator)

    def _fill(self, data: tuple[Tensor, Tensor, Tensor], model: tuple[Tensor, Tensor, Tensor]) -> None:
        machine, (v, labels, h), (model_v, model_labels, model_h) = self.module, data, model
        for weight, seen, drawn in ((machine.weight, v, model_v), (machine.label_weight, labels, model_labels)):
            weight.grad = contrast(weight, Pairs(seen, h), Pairs(drawn, model_h), self.weight_decay, self.precision)
        machine.bias.grad = model_h.mean(0) - h.mean(0)
        machine.label_bias.grad = model_labels.mean(0) - labels.mean(0)
        machine.visible_bias.grad = model_v.mean(0) - v.mean(0)

    def _measures(self, v: Tensor, labels: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
        negative = self.module(v)
        return {
            "reconstruction_error": F.mse_loss(reconstruction, v, reduction="sum"),
            "free_energy": -(v @ self.module.visible_bias).sum() - (negative * labels).sum(),
            "accuracy": (negative.argmax(1) == labels.argmax(1)).sum(),
        }
