"""Parallel tempering: persistent chains at several temperatures that trade places (Desjardins et al. 2010).

At inverse temperature b the weights and hidden biases count b times, and visible biases go in a straight line from
those of units that are independent with the data's means (b = 0) to the machine's own (b = 1): hot chains move freely
and stay where the data are, whatever the kind of visible units (Cho, Ilin & Raiko 2011).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.samplers.sampler import Drawn, Sampler


class ParallelTempering(Sampler):
    """``chains`` at each of ``temperatures`` (at least 2), evenly from b = 0 to b = 1; those at 1 are the machine's.

    After the Gibbs steps of an update neighbours trade places by Metropolis' rule, first the even pairs, then the odd.
    """

    def __init__(self, chains: int, temperatures: int) -> None:
        self.chains, self.temperatures = chains, temperatures

    def begin(self, machine: BoltzmannMachine, mean: Tensor, generator: torch.Generator) -> None:
        hears_nothing = machine.bias.detach().expand(self.temperatures * self.chains, -1)
        machine.register_buffer("chains", machine.hidden_units.sample(hears_nothing, generator))
        machine.register_buffer("hot_bias", machine.visible_units.first_bias(mean.cpu()))

    def draw(
        self, machine: BoltzmannMachine, summed: Tensor, h: Tensor, steps: int, generator: torch.Generator
    ) -> Drawn:
        visible, hidden, chains = machine.visible_units, machine.hidden_units, machine.get_buffer("chains")
        inverse = torch.linspace(0, 1, self.temperatures, device=chains.device)
        rows = inverse.repeat_interleave(self.chains)[:, None]
        hot, own = visible.natural(machine.get_buffer("hot_bias")), visible.natural(machine.visible_bias)
        for _ in range(steps):
            v = visible.sample(torch.lerp(hot, machine.visible_input(chains), rows), generator)
            x = machine.hidden_input(v)
            chains.copy_(hidden.sample(rows * x, generator))
        # The log of an unnormalised probability is a part without b, which trades do not change, and b times this.
        gain = ((v * (own - hot)).sum(1) + (chains * x).sum(1)).view(self.temperatures, self.chains)
        order = self._trade(gain, inverse, generator)
        chains.copy_(chains[order.flatten()])
        coldest = order[-1]
        return Drawn(machine.visible_probabilities(h), v[coldest], hidden.mean(x[coldest]))

    def _trade(self, gain: Tensor, inverse: Tensor, generator: torch.Generator) -> Tensor:
        """Which row's state each temperature has afterwards, (temperatures, chains)."""
        order = torch.arange(gain.numel(), device=gain.device).view_as(gain)
        for first in (0, 1):
            hot, cold = slice(first, -1, 2), slice(first + 1, None, 2)
            ratio = (inverse[hot] - inverse[cold])[:, None] * (gain[cold] - gain[hot])
            trades = torch.rand(ratio.shape, generator=generator, device=gain.device).log_() < ratio
            for values in (order, gain):
                values[hot], values[cold] = (
                    torch.where(trades, values[cold], values[hot]),
                    torch.where(trades, values[hot], values[cold]),
                )
        return order
