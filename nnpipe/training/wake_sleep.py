"""Contrastive wake-sleep, or up-down: what teaches a whole deep belief net after its layers were pretrained.

Hinton, Osindero & Teh 2006, section 5 and appendix B. In the wake phase states go up from the data by recognition
weights, and each generative layer learns to give the states below from those above; the top machine runs some Gibbs
steps from there, and learns from the difference; in the sleep phase states go down from where it came to, and each
recognition layer learns to give the states above from those below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.models.classification_machine import ClassificationMachine
from nnpipe.models.generative import Generative, sampled
from nnpipe.models.network import Network, classify
from nnpipe.training.gibbs_steps import GibbsSteps, steps_at
from nnpipe.training.seeds import generator
from nnpipe.training.supervised import answers

SAMPLES = 7  # purpose of a generator; see nnpipe.training.seeds


class BeliefNet(nn.Module):
    """``network``: the way up, with the top machine as its last layer; ``generative``: the way down.

    examples_seen: so many in training, which tells the time. On the CPU, where it is read.
    """

    def __init__(self, network: Network, generative: Generative) -> None:
        super().__init__()
        self.network, self.generative = network, generative
        self.examples_seen: Tensor
        self.register_buffer("examples_seen", torch.zeros((), dtype=torch.int64))

    @property
    def recognition(self) -> list[nn.Linear]:
        """The layers below the top machine, from the first."""
        return [cast(nn.Linear, layer) for layer in self.network.layers[:-1]]

    @property
    def machine(self) -> ClassificationMachine:
        """The top machine, which both ways share."""
        return cast(ClassificationMachine, self.network.layers[-1])


class ContrastiveWakeSleep:
    """An ``Objective`` of examples with labels; measures ``loss``, the mean of -log p(class | x), and ``accuracy``.

    network: dense sigmoid layers below a classification machine.
    pretrained: tensors of its first layers; their ``visible_bias`` is where generative biases start, else at zero.
    examples: how many make an epoch.

    In training both measures are of the weights before the step. Inputs between 0 and 1 are probabilities.
    """

    def __init__(
        self,
        network: Network,
        pretrained: Iterable[Mapping[str, np.ndarray]],
        examples: int,
        seed: int,
        gibbs_steps: GibbsSteps = 3,
    ) -> None:
        weights = [cast(Tensor, layer.weight).detach() for layer in network.layers]
        biases = (torch.tensor(tensors["visible_bias"]) for tensors in pretrained)
        self.module = BeliefNet(network, Generative.transposed(weights, biases))
        self.examples = examples
        self.gibbs_steps = gibbs_steps
        self._generator = generator(seed, SAMPLES, device=weights[0].device)
        self.generators = {"samples": self._generator}

    @torch.no_grad()
    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Fill ``.grad`` of both ways and of the machine. x: (batch, ...) from 0 to 1; y: (batch,) int64."""
        net, generative = self.module, self.module.generative
        measures = self.measure(x, y)
        labels = F.one_hot(answers(y), len(net.machine.label_bias)).to(x.dtype)
        wake = self._up(x.flatten(1))
        top = self._sample(net.machine.hidden_probabilities(wake[-1], labels))
        dream, dream_labels, dream_top = self._gibbs(top)
        sleep = generative.down(dream, self._generator)
        for below, (up, down) in enumerate(zip(net.recognition, generative.layers, strict=True)):
            _delta_rule(cast(nn.Linear, down), given=wake[below + 1], wanted=wake[below])
            _delta_rule(up, given=sleep[below], wanted=sleep[below + 1])
        self._contrast((wake[-1], labels, top), (dream, dream_labels, dream_top))
        net.examples_seen += len(x)
        return measures

    @torch.no_grad()
    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        logits, truth = self.module.network.logits(x), answers(y)
        loss = F.cross_entropy(logits, truth, reduction="sum")
        return {"loss": loss, "accuracy": (classify(logits) == truth).sum()}

    def steps_now(self) -> int:
        """Gibbs steps at this time."""
        return steps_at(self.gibbs_steps, int(self.module.examples_seen) / self.examples)

    def _up(self, x: Tensor) -> list[Tensor]:
        """The data, and sampled states of each layer above but the top."""
        found = [x]
        for layer in self.module.recognition:
            found.append(self._sample(layer(found[-1]).sigmoid()))
        return found

    def _gibbs(self, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Visible states, label probabilities and hidden states of the top machine, some steps after ``top``."""
        machine, visible_bias = self.module.machine, self.module.generative.visible_bias
        for _ in range(self.steps_now()):
            v = self._sample(machine.visible_probabilities(top, visible_bias))
            labels = machine.label_probabilities(top)
            top = self._sample(machine.hidden_probabilities(v, labels))
        return v, labels, top

    def _contrast(self, data: tuple[Tensor, Tensor, Tensor], model: tuple[Tensor, Tensor, Tensor]) -> None:
        """The top machine's gradient: what it dreamt less what it saw. Each is visible, label and hidden states."""
        machine, visible_bias = self.module.machine, self.module.generative.visible_bias
        (v, labels, h), (model_v, model_labels, model_h) = data, model
        rows = len(v)
        machine.weight.grad = (model_h.T @ model_v).addmm_(h.T, v, alpha=-1).div_(rows)
        machine.label_weight.grad = (model_h.T @ model_labels).addmm_(h.T, labels, alpha=-1).div_(rows)
        machine.bias.grad = model_h.mean(0) - h.mean(0)
        machine.label_bias.grad = model_labels.mean(0) - labels.mean(0)
        visible_bias.grad = model_v.mean(0) - v.mean(0)

    def _sample(self, probabilities: Tensor) -> Tensor:
        return sampled(probabilities, self._generator)


def _delta_rule(layer: nn.Linear, given: Tensor, wanted: Tensor) -> None:
    """The gradient of the mean of -log p(wanted | given), where each unit is on by the sigmoid of its sum."""
    error = layer(given).sigmoid_() - wanted
    layer.weight.grad = (error.T @ given).div_(len(given))
    layer.bias.grad = error.mean(0)
