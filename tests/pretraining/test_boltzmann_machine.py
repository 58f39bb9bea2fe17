from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine

SIZES = [(1, 1), (3, 2), (2, 4), (6, 5), (12, 8)]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def machine(request: pytest.FixtureRequest, make_machine: Callable[..., BoltzmannMachine]) -> BoltzmannMachine:
    return make_machine(*request.param)


@pytest.fixture
def table(machine: BoltzmannMachine, enumerate_states: Callable[..., Any]) -> Any:
    return enumerate_states(machine)


def test_energies_are_those_of_the_definition(machine: BoltzmannMachine, table: Any) -> None:
    for column, h in enumerate(table.h[:8]):
        states = torch.tensor(h).expand(len(table.v), -1)
        energy = machine.energy(torch.tensor(table.v), states).detach().numpy()
        np.testing.assert_allclose(energy, table.energy[:, column], atol=1e-10)


def test_free_energy_sums_out_the_hidden_units(machine: BoltzmannMachine, table: Any) -> None:
    free = machine.free_energy(torch.tensor(table.v)).detach().numpy()
    np.testing.assert_allclose(free, -np.log(table.unnormalised.sum(1)), rtol=1e-10)


def test_conditionals_are_those_of_the_joint_distribution(machine: BoltzmannMachine, table: Any) -> None:
    hidden = table.joint @ table.h / table.joint.sum(1, keepdims=True)
    visible = table.joint.T @ table.v / table.joint.T.sum(1, keepdims=True)
    found_hidden = machine.hidden_probabilities(torch.tensor(table.v)).detach().numpy()
    found_visible = machine.visible_probabilities(torch.tensor(table.h)).detach().numpy()
    np.testing.assert_allclose(found_hidden, hidden, rtol=1e-9)
    np.testing.assert_allclose(found_visible, visible, rtol=1e-9)


def test_the_partition_function_is_the_sum_over_all_states(machine: BoltzmannMachine, table: Any) -> None:
    assert machine.log_partition().item() == pytest.approx(np.log(table.partition), rel=1e-12)
    likelihoods = machine.log_likelihood(torch.tensor(table.v)).exp()
    assert likelihoods.sum().item() == pytest.approx(1, rel=1e-10)


def test_the_gradient_of_the_likelihood_is_data_expectations_less_model_expectations(
    machine: BoltzmannMachine, table: Any
) -> None:
    data = table.v[np.random.default_rng(1).integers(len(table.v), size=7)]
    machine.log_likelihood(torch.tensor(data)).mean().backward()
    for name, expected in table.gradient(data).items():
        np.testing.assert_allclose(machine.get_parameter(name).grad, expected, atol=1e-10)


def test_free_energies_do_not_overflow() -> None:
    machine = BoltzmannMachine(1, 2)
    with torch.no_grad():
        machine.bias.copy_(torch.tensor([1000.0, -1000.0]))
        assert machine.free_energy(torch.ones(1, 1)).tolist() == [-1000.0]


def test_a_machine_too_large_to_enumerate_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 20 units"):
        BoltzmannMachine(21, 22).log_partition()
