"""Annealed importance sampling of a Boltzmann machine's partition function (Neal 2001; Salakhutdinov & Murray 2008).

It starts at units that are independent with the data's means, whose partition function is known, and goes by many
small steps to the machine: at inverse temperature b the weights and hidden biases count b times, and visible biases lie
b of the way from the one to the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from threading import Event

import torch
from torch import Tensor

from nnpipe.errors import Interrupted
from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine

# Salakhutdinov & Murray 2008: of 14,500 distributions 500 up to 0.5, 4,000 up to 0.9, 10,000 up to 1.
LADDER = ((0.5, 500 / 14500), (0.9, 4500 / 14500), (1.0, 1.0))


@dataclass(frozen=True)
class Estimate:
    """log_partition: log Z in nats. standard_error: of it, by the delta method, from the spread of the runs' weights.

    effective_runs: how many equally heavy runs would tell as much. Near 1 the standard error means nothing.
    """

    log_partition: float
    standard_error: float
    effective_runs: float


@torch.no_grad()
def estimate_log_partition(
    machine: BoltzmannMachine,
    mean: Tensor,
    *,
    runs: int,
    temperatures: int,
    generator: torch.Generator,
    stopping: Event | None = None,
) -> Estimate:
    """Z, without bias; log Z is on average too small, by less the more runs agree.

    mean: (visible,), of the data; an independent unit starts there. runs: chains, side by side. temperatures: how many
    distributions there are between the first and the machine, each one Gibbs step.

    Raises:
        Interrupted: ``stopping`` was set.
    """
    visible, hidden = machine.visible_units, machine.hidden_units
    first, own = visible.natural(visible.first_bias(mean)), visible.natural(machine.visible_bias)
    nothing = torch.zeros_like(machine.bias)[None]
    known = (visible.log_partition(first[None]) + hidden.log_partition(nothing)).double()
    v = visible.sample(first.expand(runs, -1).contiguous(), generator)
    x, weights = machine.hidden_input(v), known.expand(runs).clone()
    inverse = _ladder(temperatures)
    for before, now in pairwise(inverse):
        if stopping and stopping.is_set():
            raise Interrupted("annealed importance sampling stopped")
        weights += (now - before) * (v @ (own - first))
        weights += hidden.log_partition(now * x).double() - hidden.log_partition(before * x)
        if now < 1:
            h = hidden.sample(now * x, generator)
            v = visible.sample(torch.lerp(first, machine.visible_input(h), now), generator)
            x = machine.hidden_input(v)
    return _summed_up(weights)


def _ladder(temperatures: int) -> list[float]:
    """Inverse temperatures from 0 to 1, ``temperatures`` of them between."""
    steps, points, start, done = temperatures + 1, [0.0], 0.0, 0
    for end, share in LADDER:
        until = max(done, round(share * steps)) if end < 1 else steps
        points += [start + (end - start) * (i + 1) / (until - done) for i in range(until - done)]
        start, done = points[-1], until
    return points


def _summed_up(weights: Tensor) -> Estimate:
    """weights: (runs,) float64, logs of importance weights."""
    runs = len(weights)
    share = (weights - weights.max()).exp()
    log_partition = weights.logsumexp(0).item() - math.log(runs)
    spread = (share.std() / share.mean()).item() / math.sqrt(runs) if runs > 1 else math.inf
    return Estimate(log_partition, spread, (share.sum().square() / share.square().sum()).item())
