"""The pseudo-likelihood of binary visible units: how well each is told by all others (Besag 1975)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine


def log_pseudo_likelihood(machine: BoltzmannMachine, v: Tensor, summed: Tensor, units: Tensor) -> Tensor:
    """The sum over visible units i of log p(v_i | all others), estimated from one of them for each row, (batch,), nats.

    The mean of the estimates from every unit is exact. A value between 0 and 1 counts as both states, each with its
    probability. summed: what hidden units sum given ``v``. units: (batch,) int64, at which the rows look.
    """
    weights, hidden = machine.weight.t()[units], machine.hidden_units
    values = v.gather(1, units[:, None])[:, 0]
    off = summed - values[:, None] * weights
    x = machine.visible_bias[units] + hidden.log_partition(off + weights) - hidden.log_partition(off)
    return v.shape[1] * (values * F.logsigmoid(x) + (1 - values) * F.logsigmoid(-x))
