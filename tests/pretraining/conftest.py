"""Small Boltzmann machines, and the same machines as tables of all their states."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.units.units import Units


def binary_states(units: int) -> np.ndarray:
    return np.array(list(product((0.0, 1.0), repeat=units)))


def machine_of(
    visible: int,
    hidden: int,
    seed: int = 0,
    spread: float = 1.0,
    visible_units: Units | None = None,
    hidden_units: Units | None = None,
) -> BoltzmannMachine:
    rng = np.random.default_rng(seed)
    machine = BoltzmannMachine(visible, hidden, visible_units, hidden_units).double()
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, spread, parameter.shape)))
    return machine


class Enumerated:
    """A machine of binary units as a table of p(v, h), from the definition of its energy alone."""

    def __init__(self, machine: BoltzmannMachine) -> None:
        weight, bias, visible_bias = (p.detach().numpy() for p in machine.parameters())
        self.v, self.h = binary_states(weight.shape[1]), binary_states(weight.shape[0])
        self.energy = np.einsum("hj,ji,vi->vh", self.h, -weight, self.v, optimize=True)
        self.energy -= (self.v @ visible_bias)[:, None] + self.h @ bias
        self.joint = np.exp(-self.energy)
        self.partition = self.joint.sum()
        self.joint /= self.partition

    def gradient(self, data: np.ndarray) -> dict[str, np.ndarray]:
        """d/dparameter of the mean log-likelihood of binary rows: expectations under data less under the model."""
        rows = [int("".join(str(int(x)) for x in row), 2) for row in data]
        seen = np.bincount(rows, minlength=len(self.v)) / len(rows)
        change = self.joint * (seen / self.joint.sum(1) - 1)[:, None]
        return {
            "weight": self.h.T @ change.T @ self.v,
            "bias": self.h.T @ change.sum(0),
            "visible_bias": self.v.T @ change.sum(1),
        }


@pytest.fixture(scope="session")
def make_machine() -> Callable[..., BoltzmannMachine]:
    return machine_of


@pytest.fixture(scope="session")
def enumerate_states() -> type[Enumerated]:
    return Enumerated
