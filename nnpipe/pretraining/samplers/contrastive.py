"""Contrastive divergence: chains that start at the examples of each batch (Hinton 2002)."""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.samplers.sampler import Drawn, Sampler


class Contrastive(Sampler):
    """Hidden states that the data drive are sampled always (Hinton 2010, section 3.1).

    A single step reconstructs with means, which is quieter (section 3.2, and 13.2 for gaussian units); more steps
    sample both sides, which makes them Gibbs chains of the model.
    """

    def begin(self, machine: BoltzmannMachine, mean: Tensor, generator: torch.Generator) -> None:
        """Nothing is kept."""

    def draw(
        self, machine: BoltzmannMachine, summed: Tensor, h: Tensor, steps: int, generator: torch.Generator
    ) -> Drawn:
        visible, hidden = machine.visible_units, machine.hidden_units
        x = machine.visible_input(hidden.sample(summed, generator, h))
        reconstruction = visible.mean(x)
        # The square of a mean tells nothing of a variance that is to be learned.
        v = visible.sample(x, generator, reconstruction) if steps > 1 or machine.learns_variance else reconstruction
        for _ in range(steps - 1):
            states = hidden.sample(machine.hidden_input(v), generator)
            v = visible.sample(machine.visible_input(states), generator)
        return Drawn(reconstruction, v, machine.hidden_probabilities(v))
