from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.pretraining.units.doubled import DoubledHidden, DoubledVisible
from nnpipe.pretraining.units.gaussian import Gaussian
from nnpipe.pretraining.units.rectified import Rectified
from nnpipe.pretraining.units.softmax import Softmax
from nnpipe.pretraining.units.units import Units

SIZES = [(1, 1), (3, 2), (2, 4), (6, 5), (12, 12)]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def machine(request: pytest.FixtureRequest, make_machine: Callable[..., BoltzmannMachine]) -> BoltzmannMachine:
    return make_machine(*request.param)


@pytest.fixture(scope="module")
def table(machine: BoltzmannMachine, enumerate_states: Callable[..., Any]) -> Any:
    return enumerate_states(machine)


def test_energies_are_those_of_the_definition(machine: BoltzmannMachine, table: Any) -> None:
    for column, h in enumerate(table.h[:8]):
        states = torch.tensor(h).expand(len(table.v), -1)
        energy = machine.energy(torch.tensor(table.v), states).detach().numpy()
        np.testing.assert_allclose(energy, table.energy[:, column], atol=1e-10)


def test_free_energy_sums_out_the_hidden_units(machine: BoltzmannMachine, table: Any) -> None:
    free = machine.free_energy(torch.tensor(table.v)).detach().numpy()
    np.testing.assert_allclose(free, -np.log(table.joint.sum(1) * table.partition), rtol=1e-9)


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
    assert BoltzmannMachine(21, 20).enumerable
    assert not BoltzmannMachine(21, 22).enumerable
    assert BoltzmannMachine(21, 22, Softmax()).enumerable
    assert not BoltzmannMachine(4, 4, None, Rectified()).enumerable


def binary_states(units: int) -> np.ndarray:
    return np.array(list(product((0.0, 1.0), repeat=units)))


def one_hot(units: int) -> np.ndarray:
    return np.eye(units)


CELL = 0.2**2  # the area that a point of the lattice stands for


def grid(units: int) -> np.ndarray:
    """Points of a lattice that is fine and wide enough to integrate smooth densities of some units by sums."""
    return np.array(list(product(np.arange(-16, 16, 0.2), repeat=units)))


class Pair:
    """A machine of 2 to 4 units a side, its states or a lattice of them, and what each of them weighs."""

    def __init__(self, make: Callable[..., BoltzmannMachine], visible: str, hidden: str) -> None:
        log_variance = torch.nn.Parameter(torch.zeros(2))
        kinds: dict[str, tuple[Units, int, Callable[[int], np.ndarray]]] = {
            "bernoulli": (Bernoulli(), 3, binary_states),
            "softmax": (Softmax(), 4, one_hot),
            "gaussian": (Gaussian(log_variance), 2, grid),
            "linear": (Gaussian(), 2, grid),
        }
        (visible_units, n, v_states), (hidden_units, m, h_states) = kinds[visible], kinds[hidden]
        machine = self.machine = make(n, m, 5, 0.5, visible_units, hidden_units)
        self.v, self.h = v_states(n), h_states(m)
        weight, bias, visible_bias = (
            machine.get_parameter(name).detach().numpy() for name in ("weight", "bias", "visible_bias")
        )
        if visible == "gaussian":  # the textbook's (v - b)^2 / (2 variance), without the part that is only b's
            variance = np.exp(log_variance.detach().numpy())
            alone = ((self.v - visible_bias) ** 2 / (2 * variance) - visible_bias**2 / (2 * variance)).sum(1)
        else:
            alone = -self.v @ visible_bias
        energy = alone[:, None] - self.v @ weight.T @ self.h.T - self.h @ bias
        if hidden == "linear":
            energy = energy + (self.h**2).sum(1) / 2
        self.cell = CELL if visible == "gaussian" else 1
        self.energy = energy
        self.weights = np.exp(-energy) * self.cell * (CELL if hidden == "linear" else 1)


PAIRS = [
    ("gaussian", "bernoulli"),
    ("gaussian", "softmax"),
    ("softmax", "bernoulli"),
    ("softmax", "softmax"),
    ("bernoulli", "softmax"),
    ("bernoulli", "linear"),
    ("softmax", "linear"),
]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, make_machine: Callable[..., BoltzmannMachine]) -> Pair:
    return Pair(make_machine, *request.param)


class TestOtherUnits:
    def test_energies_are_those_of_the_definition(self, pair: Pair) -> None:
        columns = np.random.default_rng(0).integers(len(pair.h), size=4)
        for column in columns:
            states = torch.tensor(pair.h[column]).expand(len(pair.v), -1)
            found = pair.machine.energy(torch.tensor(pair.v), states).detach().numpy()
            np.testing.assert_allclose(found, pair.energy[:, column], atol=1e-8)

    def test_free_energy_sums_or_integrates_hidden_units_out(self, pair: Pair) -> None:
        found = pair.machine.free_energy(torch.tensor(pair.v)).detach().numpy()
        expected = -np.log(pair.weights.sum(1) / pair.cell)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)

    def test_conditional_means_are_those_of_the_joint_distribution(self, pair: Pair) -> None:
        rows = np.random.default_rng(0).integers(len(pair.v), size=6)
        hidden = pair.weights[rows] @ pair.h / pair.weights[rows].sum(1, keepdims=True)
        found = pair.machine.hidden_probabilities(torch.tensor(pair.v[rows])).detach().numpy()
        np.testing.assert_allclose(found, hidden, atol=1e-7)
        columns = np.abs(pair.h).max(1) < 4  # others put visible units where the lattice ends
        visible = pair.weights[:, columns].T @ pair.v / pair.weights[:, columns].T.sum(1, keepdims=True)
        found = pair.machine.visible_probabilities(torch.tensor(pair.h[columns])).detach().numpy()
        np.testing.assert_allclose(found, visible, atol=1e-7)

    def test_the_partition_function_is_the_sum_or_integral_over_all_states(self, pair: Pair) -> None:
        assert pair.machine.log_partition().item() == pytest.approx(np.log(pair.weights.sum()), abs=1e-8)
        density = pair.machine.log_likelihood(torch.tensor(pair.v)).exp().sum().item() * pair.cell
        assert density == pytest.approx(1, abs=1e-8)


class Twice:
    """A machine of binary units of which a side is there twice, as a table: its copies have all weights in common."""

    def __init__(self, make: Callable[..., BoltzmannMachine], doubled: str) -> None:
        units = (DoubledVisible(), None) if doubled == "visible" else (None, DoubledHidden())
        machine = self.machine = make(3, 2, 5, 0.8, *units)
        weight, bias, visible_bias = (p.detach().numpy() for p in machine.parameters())
        self.v, self.h = binary_states(3), binary_states(2)
        if doubled == "visible":
            pairs = [(one, other) for one in self.v for other in self.v]
            self.v = np.array([(one + other) / 2 for one, other in pairs])
            alone = np.array([(one + other) @ visible_bias for one, other in pairs])
            # Half of the weight is one copy's.
            heard = np.array([(one + other) @ weight.T / 2 for one, other in pairs])
            self.weights = np.exp(alone[:, None] + heard @ self.h.T + self.h @ bias)
        else:
            pairs = [(one, other) for one in self.h for other in self.h]
            self.h = np.array([one + other for one, other in pairs])
            self.weights = np.exp((self.v @ visible_bias)[:, None] + self.v @ weight.T @ self.h.T + self.h @ bias)


@pytest.mark.parametrize("doubled", ["visible", "hidden"])
class TestDoubledUnits:
    def test_what_is_summed_out_is_two_copies(
        self, make_machine: Callable[..., BoltzmannMachine], doubled: str
    ) -> None:
        table = Twice(make_machine, doubled)
        machine = table.machine
        assert machine.log_partition().item() == pytest.approx(np.log(table.weights.sum()), rel=1e-12)
        for v in np.unique(table.v, axis=0):
            rows = (table.v == v).all(1)
            free = machine.free_energy(torch.from_numpy(v[None])).item()
            assert free == pytest.approx(-np.log(table.weights[rows].sum()), abs=1e-9)
        states = torch.from_numpy(np.unique(table.h, axis=0))
        for v in torch.from_numpy(np.unique(table.v, axis=0)):
            total = (-machine.energy(v.expand(len(states), -1), states)).logsumexp(0)
            torch.testing.assert_close(total, -machine.free_energy(v[None])[0])

    def test_conditional_means_are_those_of_the_joint_distribution(
        self, make_machine: Callable[..., BoltzmannMachine], doubled: str
    ) -> None:
        table = Twice(make_machine, doubled)
        hidden = table.weights @ table.h / table.weights.sum(1, keepdims=True)
        visible = table.weights.T @ table.v / table.weights.T.sum(1, keepdims=True)
        found_hidden = table.machine.hidden_probabilities(torch.from_numpy(table.v)).detach().numpy()
        found_visible = table.machine.visible_probabilities(torch.from_numpy(table.h)).detach().numpy()
        np.testing.assert_allclose(found_hidden, hidden, rtol=1e-9)
        np.testing.assert_allclose(found_visible, visible, rtol=1e-9)
