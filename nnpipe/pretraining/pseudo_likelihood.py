"""The pseudo-likelihood of binary visible units: how well each is told by all others (Besag 1975)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine


def log_pseudo_likelihood(machine: BoltzmannMachine, v: Tensor, summed: Tensor, units: Tensor) -> Tensor:
    """The sum over visible units i of log p(v_i | all others) of each row, (batch,), in nats.

    Estimated from the ``units`` of each row, (batch, looked at) int64; exact where they are all. A value between 0 and
    1 counts as both states, each with its probability. summed: what hidden units sum given ``v``.
    """
    rows, looked_at = units.shape
    values = v.gather(1, units)[..., None]
    weights = machine.weight.t()[units]  # (rows, looked at, hidden)
    on, off = summed[:, None] + (1 - values) * weights, summed[:, None] - values * weights
    hidden = machine.hidden_units
    gain = hidden.log_partition(on.flatten(0, 1)) - hidden.log_partition(off.flatten(0, 1))
    x = machine.visible_bias[units] + gain.view(rows, looked_at)
    told = values[..., 0] * F.logsigmoid(x) + (1 - values[..., 0]) * F.logsigmoid(-x)
    return told.mean(1) * v.shape[1]


def every_unit(v: Tensor) -> Tensor:
    """Units such that the batch looks at every one, at all about as often: (batch, looked at)."""
    rows, visible = v.shape
    looked_at = -(-visible // rows)
    return torch.arange(rows * looked_at, device=v.device).remainder_(visible).view(rows, looked_at)


def one_unit_each(v: Tensor, generator: torch.Generator) -> Tensor:
    """A unit drawn for each row, (batch, 1)."""
    rows, visible = v.shape
    return torch.randint(visible, (rows, 1), generator=generator, device=v.device)
