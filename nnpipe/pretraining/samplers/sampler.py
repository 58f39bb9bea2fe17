"""What every sampler offers: states of the machine itself, for the gradient to push away from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine


class Drawn(NamedTuple):
    """reconstruction: the means of visible units after one step from the data, (batch, visible).

    v, h: visible states of the machine, (chains, visible), and the means of its hidden units given them.
    """

    reconstruction: Tensor
    v: Tensor
    h: Tensor


class Sampler(ABC):
    """Draws the machine's states. What it keeps between updates are the machine's buffers, so checkpoints have it."""

    @abstractmethod
    def begin(self, machine: BoltzmannMachine, mean: Tensor, generator: torch.Generator) -> None:
        """Make what is kept between updates. mean: (visible,), of the training examples. On the CPU."""

    @abstractmethod
    def draw(
        self, machine: BoltzmannMachine, summed: Tensor, h: Tensor, steps: int, generator: torch.Generator
    ) -> Drawn:
        """``steps`` of Gibbs sampling. summed, h: what hidden units sum given the examples, and their means."""
