from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine


def binary_states(units: int) -> np.ndarray:
    return np.array(list(product((0.0, 1.0), repeat=units)))


def machine_of(visible: int, hidden: int, seed: int = 0, spread: float = 1.0) -> BoltzmannMachine:
    rng = np.random.default_rng(seed)
    machine = BoltzmannMachine(visible, hidden).double()
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, spread, parameter.shape)))
    return machine


class Enumerated:
    """The same machine as a table of p(v, h), from the definition of its energy alone."""

    def __init__(self, machine: BoltzmannMachine) -> None:
        weight, bias, visible_bias = (p.detach().numpy() for p in machine.parameters())
        self.v, self.h = binary_states(weight.shape[1]), binary_states(weight.shape[0])
        self.energy = np.array([[-v @ visible_bias - h @ bias - h @ weight @ v for h in self.h] for v in self.v])
        self.unnormalised = np.exp(-self.energy)
        self.partition = self.unnormalised.sum()
        self.joint = self.unnormalised / self.partition

    def gradient(self, data: np.ndarray) -> dict[str, np.ndarray]:
        """d/dparameter of the mean log-likelihood of binary rows: expectations under data less under the model."""
        rows = [int("".join(str(int(x)) for x in row), 2) for row in data]
        seen = np.bincount(rows, minlength=len(self.v)) / len(rows)
        driven = seen[:, None] * self.joint / self.joint.sum(1, keepdims=True)
        change = driven - self.joint
        return {
            "weight": self.h.T @ change.T @ self.v,
            "bias": self.h.T @ change.sum(0),
            "visible_bias": self.v.T @ change.sum(1),
        }


SIZES = [(1, 1), (3, 2), (2, 4), (6, 5), (12, 8)]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def machine(request: pytest.FixtureRequest) -> BoltzmannMachine:
    return machine_of(*request.param)


@pytest.fixture
def table(machine: BoltzmannMachine) -> Enumerated:
    return Enumerated(machine)


def test_energies_are_those_of_the_definition(machine: BoltzmannMachine, table: Enumerated) -> None:
    for column, h in enumerate(table.h[:8]):
        states = torch.tensor(h).expand(len(table.v), -1)
        energy = machine.energy(torch.tensor(table.v), states).detach().numpy()
        np.testing.assert_allclose(energy, table.energy[:, column], atol=1e-10)


def test_free_energy_sums_out_the_hidden_units(machine: BoltzmannMachine, table: Enumerated) -> None:
    free = machine.free_energy(torch.tensor(table.v)).detach().numpy()
    np.testing.assert_allclose(free, -np.log(table.unnormalised.sum(1)), rtol=1e-10)


def test_conditionals_are_those_of_the_joint_distribution(machine: BoltzmannMachine, table: Enumerated) -> None:
    hidden = table.joint @ table.h / table.joint.sum(1, keepdims=True)
    visible = table.joint.T @ table.v / table.joint.T.sum(1, keepdims=True)
    found_hidden = machine.hidden_probabilities(torch.tensor(table.v)).detach().numpy()
    found_visible = machine.visible_probabilities(torch.tensor(table.h)).detach().numpy()
    np.testing.assert_allclose(found_hidden, hidden, rtol=1e-9)
    np.testing.assert_allclose(found_visible, visible, rtol=1e-9)


def test_the_partition_function_is_the_sum_over_all_states(machine: BoltzmannMachine, table: Enumerated) -> None:
    assert float(machine.log_partition()) == pytest.approx(np.log(table.partition), rel=1e-12)
    likelihoods = machine.log_likelihood(torch.tensor(table.v)).exp()
    assert float(likelihoods.sum()) == pytest.approx(1, rel=1e-10)


def test_the_gradient_of_the_likelihood_is_data_expectations_less_model_expectations(
    machine: BoltzmannMachine, table: Enumerated
) -> None:
    data = table.v[np.random.default_rng(1).integers(len(table.v), size=7)]
    machine.log_likelihood(torch.tensor(data)).mean().backward()
    for name, expected in table.gradient(data).items():
        np.testing.assert_allclose(machine.get_parameter(name).grad, expected, atol=1e-10)


def test_free_energies_do_not_overflow() -> None:
    machine = machine_of(4, 3, spread=300.0).float()
    v = torch.tensor(binary_states(4), dtype=torch.float32)
    expected = machine.double().free_energy(v.double())
    torch.testing.assert_close(machine.float().free_energy(v).double(), expected, rtol=1e-5, atol=1e-3)


def test_a_machine_too_large_to_enumerate_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 20 units"):
        BoltzmannMachine(21, 22).log_partition()
