"""The deep Boltzmann machine: its energy, conditionals, mean-field posterior and Gibbs chains.

Salakhutdinov & Hinton 2009. p(h_0, ..., h_n) = exp(-E) / Z, where h_0 are the visible units, all units are binary, and
E = - sum over layers l of b_l.h_l - sum over neighbours of h_l+1.W_l h_l. A layer hears from both its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from nnpipe.models.generative import sampled


class DeepBoltzmannMachine(nn.Module):
    """weights[l]: (units of layer l + 1, units of layer l); biases[l]: (units of layer l,). Starts at zero.

    States, or means, of all layers are a sequence of (batch, units), the visible ones first. What units sum is of their
    dtype, also where products are computed in another one.
    """

    def __init__(self, units: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.zeros(above, below) for below, above in pairwise(units))
        self.biases = nn.ParameterList(torch.zeros(number) for number in units)

    @classmethod
    def composed(cls, layers: Sequence[Mapping[str, np.ndarray]]) -> DeepBoltzmannMachine:
        """From layers that were learned one on top of the other, or from what ``layers`` gave.

        layers: ``weight``, (hidden, visible), ``bias`` and ``visible_bias`` of each, where ``weight`` is what hidden
            units hear by with nothing above them: twice the machine's, but in the last (Salakhutdinov & Hinton 2009,
            section 3.1).

        Two machines have a layer's units in common. Each is raised to the power 1/2, which leaves one copy of what was
        learned as two, and the mean of both biases.
        """
        biases = [torch.tensor(layer["bias"]) for layer in layers]
        visible = [torch.tensor(layer["visible_bias"]) for layer in layers]
        shared = [(bias + other) / 2 for bias, other in zip(biases, visible[1:], strict=False)]
        machine = cls([len(bias) for bias in (visible[0], *biases)])
        with torch.no_grad():
            for weight, heard, layer in zip(machine.weights, machine._heard(), layers, strict=True):
                weight.copy_(torch.tensor(layer["weight"]) / heard)
            for bias, own in zip(machine.biases, (visible[0], *shared, biases[-1]), strict=True):
                bias.copy_(own)
        return machine

    def layers(self) -> list[dict[str, Tensor]]:
        """What a network of the same layers starts from, from the first: each hears what is below it, and no more.

        ``weight`` and ``bias``; ``decoder_weight``, (visible, hidden), and ``visible_bias`` are of the way back. Where
        the layer that is not heard is missing, weights count twice.
        """
        weights, biases = ([each.detach() for each in part] for part in (self.weights, self.biases))
        return [
            {
                "weight": heard * weight,
                "bias": biases[index + 1],
                "decoder_weight": (2 if index else 1) * weight.T,
                "visible_bias": biases[index],
            }
            for index, (weight, heard) in enumerate(zip(weights, self._heard(), strict=True))
        ]

    def energy(self, states: Sequence[Tensor]) -> Tensor:
        """E, (batch,). Of the means of independent units it is the expectation."""
        alone = torch.stack([h @ bias for h, bias in zip(states, self.biases, strict=True)]).sum(0)
        pairs = zip(self.weights, pairwise(states), strict=True)
        return -alone - torch.stack([((below @ w.T) * above).sum(1) for w, (below, above) in pairs]).sum(0)

    def layer_input(self, states: Sequence[Tensor], layer: int) -> Tensor:
        """What units of ``layer`` sum, (batch, units): p(h = 1 | its neighbours) is the sigmoid of it."""
        x: Tensor = self.biases[layer]
        if layer > 0:
            x = torch.addmm(x, states[layer - 1], self.weights[layer - 1].T)
        if layer < len(self.weights):
            x = torch.addmm(x, states[layer + 1], self.weights[layer])
        return x.to(self.biases[layer].dtype)

    def mean_field(self, v: Tensor, steps: int) -> list[Tensor]:
        """Means of independent units, near p(hidden | v): ``v`` and each hidden layer's.

        They start at what the layers give as a network. A step sets first the odd layers and then the even ones to what
        maximises the bound, given the others: it never falls.
        """
        means = [v]
        for weight, bias, heard in zip(self.weights, self.biases[1:], self._heard(), strict=True):
            means.append(torch.addmm(bias, means[-1], weight.T, alpha=heard).to(v.dtype).sigmoid())
        from_data = torch.addmm(self.biases[1], v, self.weights[0].T)  # the same in every step
        last = len(self.weights)
        for _ in range(steps):
            for layer in (*range(1, last + 1, 2), *range(2, last + 1, 2)):
                if layer == 1:
                    x = (from_data if last == 1 else torch.addmm(from_data, means[2], self.weights[1])).to(v.dtype)
                else:
                    x = self.layer_input(means, layer)
                means[layer] = x.sigmoid()
        return means

    def variational_free_energy(self, means: Sequence[Tensor]) -> Tensor:
        """The expected energy less the entropy of the hidden units, (batch,), of independent units with ``means``.

        It is at least - log of the sum over hidden states of exp(-E), so that less log Z its negative is a lower bound
        of log p(v).
        """
        entropies = [(torch.special.entr(h) + torch.special.entr(1 - h)).sum(1) for h in means[1:]]
        return self.energy(means) - torch.stack(entropies).sum(0)

    def gibbs_step(self, states: Sequence[Tensor], generator: torch.Generator) -> tuple[list[Tensor], list[Tensor]]:
        """Sample the even layers given the odd ones, then the odd given the even. Only the odd are looked at.

        Returns the new states, and the same with the means of the odd layers that they were drawn with.
        """
        last, drawn = len(self.weights), list(states)
        for layer in range(0, last + 1, 2):
            drawn[layer] = sampled(self.layer_input(drawn, layer).sigmoid(), generator)
        means = list(drawn)
        for layer in range(1, last + 1, 2):
            means[layer] = self.layer_input(drawn, layer).sigmoid()
        for layer in range(1, last + 1, 2):
            drawn[layer] = sampled(means[layer], generator)
        return drawn, means

    @torch.no_grad()
    def samples(self, count: int, steps: Sequence[int], generator: torch.Generator, unit: int | None = None) -> Tensor:
        """What each of ``count`` chains gives after so many Gibbs steps: (len(steps), count, visible), probabilities.

        unit: of the last layer, to be held at 1. Chains start at hidden units that are on as their biases say.
        """
        last, found = len(self.weights), {}
        states = [sampled(bias.sigmoid().expand(count, -1), generator) for bias in self.biases]
        for step in range(1, max(steps) + 1):
            for layer in (*range(0, last + 1, 2), *range(1, last + 1, 2)):
                states[layer] = sampled(self.layer_input(states, layer).sigmoid(), generator)
                if layer == last and unit is not None:
                    states[layer][:, unit] = 1
            if step in steps:
                found[step] = self.layer_input(states, 0).sigmoid()
        return torch.stack([found[step] for step in steps])

    def _heard(self) -> list[int]:
        """How often each weight counts where a layer hears from below alone: twice, but in the last."""
        return [2] * (len(self.weights) - 1) + [1]
