"""The restricted Boltzmann machine: energies, conditionals, and its exact likelihood where a side is small.

p(v, h) = exp(-E(v, h)) / Z with E(v, h) = - log base(v) - log base(h) - visible_bias.v - bias.h - h.W v, where the
bases are those of the units' kinds, 1 for binary ones (Hinton 2010, section 2), and biases stand in their natural form.
Weights multiply visible states as they are, whatever their variance: what hidden units sum is what a layer of a network
with the same weights and biases sums.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.pretraining.units.gaussian import Gaussian
from nnpipe.pretraining.units.units import Units

LARGEST_ENUMERATION = 20  # binary units: a million states


class BoltzmannMachine(nn.Module):
    """weight: (hidden, visible) as torch's Linear has it; bias: (hidden,); visible_bias: (visible,).

    log_variance: (visible,), where visible units are gaussian and have one.

    v is (batch, visible), h is (batch, hidden): states, or their means. What units sum is of the same dtype, also where
    products are computed in another one. Starts at zero.
    """

    def __init__(
        self, visible: int, hidden: int, visible_units: Units | None = None, hidden_units: Units | None = None
    ) -> None:
        super().__init__()
        self.visible_units, self.hidden_units = visible_units or Bernoulli(), hidden_units or Bernoulli()
        self.weight = nn.Parameter(torch.zeros(hidden, visible))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.log_variance = self.visible_units.log_variance if isinstance(self.visible_units, Gaussian) else None

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h), (batch,)."""
        alone = self._log_weight(v) + self.hidden_units.log_base(h)
        return -alone - (self.hidden_input(v) * h).sum(1)

    def free_energy(self, v: Tensor, hidden_input: Tensor | None = None) -> Tensor:
        """F(v) = -log of the sum over h of exp(-E(v, h)), (batch,). Hinton 2010, section 16.1.

        hidden_input: of ``v``, where it is known already.

        Raises:
            ValueError: hidden units cannot be summed out.
        """
        summed = self.hidden_input(v) if hidden_input is None else hidden_input
        return -self._log_weight(v) - self.hidden_units.log_partition(summed)

    def hidden_input(self, v: Tensor) -> Tensor:
        """What hidden units sum, (batch, hidden)."""
        return F.linear(v, self.weight, self.bias).to(v.dtype)

    def visible_input(self, h: Tensor) -> Tensor:
        """What visible units sum, (batch, visible)."""
        return torch.addmm(self.visible_units.natural(self.visible_bias), h, self.weight).to(h.dtype)

    def hidden_probabilities(self, v: Tensor) -> Tensor:
        """p(h = 1 | v), (batch, hidden); the means of h given v where units are not binary."""
        return self.hidden_units.mean(self.hidden_input(v))

    def visible_probabilities(self, h: Tensor) -> Tensor:
        """p(v = 1 | h), (batch, visible); the means of v given h where units are not binary."""
        return self.visible_units.mean(self.visible_input(h))

    @property
    def learns_variance(self) -> bool:
        """Whether ``log_variance`` is to be learned, not only kept."""
        return self.log_variance is not None and self.log_variance.requires_grad

    @property
    def enumerable(self) -> bool:
        """Whether ``log_partition`` can be had: a side has few states, and the other can be summed out."""
        return self.hidden_units.closed_form and min(self._counts()) <= 1 << LARGEST_ENUMERATION

    def log_partition(self) -> Tensor:
        """log Z in float64, by enumeration of the side that has fewer states.

        Raises:
            ValueError: no side has at most 20 binary units, or as few states, or the other cannot be summed out.
        """
        if not self.enumerable:
            raise ValueError(f"a side of at most {LARGEST_ENUMERATION} units can be enumerated, of few states")
        weight, bias = self.weight.double(), self.bias.double()
        units, other, other_bias = self.hidden_units, self.visible_units, self.visible_bias.double()
        visible_count, hidden_count = self._counts()
        if hidden_count > visible_count:
            weight, bias, other_bias, units, other = weight.T, other_bias, bias, other, units
        # Given the states of one side, the other side's units are independent and summed out one by one.
        totals = [
            (states @ bias + other.log_partition(other.natural(other_bias) + states @ weight)).logsumexp(0)
            for states in units.enumerate(len(bias), bias.device)
        ]
        return torch.stack(totals).logsumexp(0)

    def log_likelihood(self, v: Tensor) -> Tensor:
        """log p(v) in nats, (batch,), exact; of gaussian units a density. Raises as ``log_partition`` does."""
        return -self.free_energy(v) - self.log_partition()

    def _log_weight(self, v: Tensor) -> Tensor:
        """What visible states weigh by themselves, (batch,)."""
        return v @ self.visible_units.natural(self.visible_bias) + self.visible_units.log_base(v)

    def _counts(self) -> tuple[float, float]:
        """How many states visible and hidden units have; infinity for those that cannot be counted."""
        hidden, visible = self.weight.shape
        sides = ((self.visible_units, visible), (self.hidden_units, hidden))
        first, second = (float("inf") if (n := units.states(size)) is None else n for units, size in sides)
        return first, second
