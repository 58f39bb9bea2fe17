"""Persistent contrastive divergence: chains that go on where they last stood (Tieleman 2008)."""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.samplers.sampler import Drawn, Sampler


class Persistent(Sampler):
    """``chains`` of them, kept as hidden states. They start as hidden units that hear nothing."""

    def __init__(self, chains: int) -> None:
        self.chains = chains

    def begin(self, machine: BoltzmannMachine, mean: Tensor, generator: torch.Generator) -> None:
        hears_nothing = machine.bias.detach().expand(self.chains, -1)
        machine.register_buffer("chains", machine.hidden_units.sample(hears_nothing, generator))

    def draw(
        self, machine: BoltzmannMachine, summed: Tensor, h: Tensor, steps: int, generator: torch.Generator
    ) -> Drawn:
        visible, hidden, chains = machine.visible_units, machine.hidden_units, machine.get_buffer("chains")
        for _ in range(steps):
            v = visible.sample(machine.visible_input(chains), generator)
            x = machine.hidden_input(v)
            model_h = hidden.mean(x)
            chains.copy_(hidden.sample(x, generator, model_h))
        return Drawn(machine.visible_probabilities(h), v, model_h)
