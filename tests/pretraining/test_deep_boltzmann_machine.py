"""Deep Boltzmann machines of few units, against tables of all their states."""

from __future__ import annotations

from itertools import pairwise, product
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.models.deep_boltzmann_machine import DeepBoltzmannMachine
from nnpipe.pretraining.joint.deep_boltzmann_machine import DeepBoltzmann
from nnpipe.pretraining.likelihood import Likelihood
from nnpipe.pretraining.variational_learning import VariationalLearning, restricted
from nnpipe.training.examples import Examples

SIZES = [(4, 3, 2), (3, 4), (3, 2, 3, 2), (2, 2, 2, 2, 2)]
IDS = ["-".join(map(str, units)) for units in SIZES]


def machine_of(units: tuple[int, ...], seed: int = 0, spread: float = 0.8) -> DeepBoltzmannMachine:
    rng = np.random.default_rng(seed)
    machine = DeepBoltzmannMachine(units).double()
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, spread, parameter.shape)))
    return machine


class Table:
    """All states of a machine and their probabilities, from the definition of its energy alone."""

    def __init__(self, machine: DeepBoltzmannMachine) -> None:
        weights, biases = ([p.detach().double().numpy() for p in part] for part in (machine.weights, machine.biases))
        sizes = [len(bias) for bias in biases]
        whole = np.array(list(product((0.0, 1.0), repeat=sum(sizes))))
        self.layers = np.split(whole, np.cumsum(sizes)[:-1], axis=1)
        self.energy = -sum(h @ bias for h, bias in zip(self.layers, biases, strict=True))
        for index, weight in enumerate(weights):
            self.energy -= np.einsum("sa,ab,sb->s", self.layers[index + 1], weight, self.layers[index])
        self.log_partition = np.log(np.exp(-self.energy).sum())
        self.p = np.exp(-self.energy - self.log_partition)

    def states(self) -> list[torch.Tensor]:
        return [torch.from_numpy(layer) for layer in self.layers]

    def given(self, layer: int, units: np.ndarray) -> np.ndarray:
        """The probabilities of all states given those of a layer."""
        p = self.p * (self.layers[layer] == units).all(1)
        return p / p.sum()

    def visible(self) -> np.ndarray:
        """p of each visible state, in the order of ``product``."""
        return self.p.reshape(2 ** self.layers[0].shape[1], -1).sum(1)


@pytest.fixture(scope="module", params=SIZES, ids=IDS)
def machine(request: pytest.FixtureRequest) -> DeepBoltzmannMachine:
    return machine_of(request.param)


@pytest.fixture(scope="module")
def table(machine: DeepBoltzmannMachine) -> Table:
    return Table(machine)


def visible_states(machine: DeepBoltzmannMachine) -> torch.Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=len(machine.biases[0]))), dtype=torch.float64)


def test_energies_are_those_of_the_definition(machine: DeepBoltzmannMachine, table: Table) -> None:
    np.testing.assert_allclose(machine.energy(table.states()).detach(), table.energy, atol=1e-10)


def test_a_layer_s_conditional_depends_on_its_neighbours_alone(machine: DeepBoltzmannMachine, table: Table) -> None:
    for layer in range(len(machine.biases)):
        found = machine.layer_input(table.states(), layer).sigmoid().detach().numpy()
        others = [index for index in range(len(machine.biases)) if index != layer]
        for row in np.random.default_rng(layer).integers(len(table.p), size=5):
            p = np.prod([table.given(index, table.layers[index][row]) > 0 for index in others], axis=0) * table.p
            np.testing.assert_allclose(found[row], p @ table.layers[layer] / p.sum(), rtol=1e-9)


def test_even_and_odd_layers_are_the_two_sides_of_a_restricted_machine(
    machine: DeepBoltzmannMachine, table: Table
) -> None:
    same, states = restricted(machine), table.states()
    energy = same.energy(torch.cat(states[::2], 1), torch.cat(states[1::2], 1))
    np.testing.assert_allclose(energy.detach(), table.energy, atol=1e-10)
    assert same.log_partition().item() == pytest.approx(table.log_partition, rel=1e-12)


def test_the_mean_field_bound_is_below_the_likelihood_and_rises_with_every_step(
    machine: DeepBoltzmannMachine, table: Table
) -> None:
    v, exact = visible_states(machine), np.log(table.visible())
    bounds = [
        -machine.variational_free_energy(machine.mean_field(v, steps)).detach().numpy() - table.log_partition
        for steps in (0, 1, 2, 3, 5, 10, 100)
    ]
    for bound in bounds:
        assert (bound <= exact + 1e-9).all()
    for before, after in pairwise(bounds):
        assert (after >= before - 1e-9).all()
    # Between one hidden layer and the data nothing has to be approximated.
    worst = 1e-9 if len(machine.weights) == 1 else 0.5
    assert (exact - bounds[-1]).max() < worst


def test_means_end_at_a_fixed_point(machine: DeepBoltzmannMachine) -> None:
    means = machine.mean_field(visible_states(machine), 200)
    for layer in range(1, len(means)):
        torch.testing.assert_close(machine.layer_input(means, layer).sigmoid(), means[layer], atol=1e-8, rtol=0)


def test_where_inference_starts_a_layer_hears_twice_what_is_below_and_the_last_once() -> None:
    machine = machine_of((4, 3, 2))
    v = visible_states(machine)
    first, last, above = machine.mean_field(v, 0)
    torch.testing.assert_close(last, (2 * v @ machine.weights[0].T + machine.biases[1]).sigmoid())
    torch.testing.assert_close(above, (last @ machine.weights[1].T + machine.biases[2]).sigmoid())
    assert first is v


def test_gibbs_chains_come_to_the_distribution_of_the_machine() -> None:
    machine = machine_of((4, 3, 2), spread=0.5).float()
    table, draws = Table(machine), torch.Generator().manual_seed(0)
    states = [torch.zeros(40_000, len(bias)) for bias in machine.biases]
    with torch.no_grad():
        for _ in range(30):
            states, means = machine.gibbs_step(states, draws)
    for layer, (sampled, mean, exact) in enumerate(zip(states, means, table.layers, strict=True)):
        np.testing.assert_allclose(sampled.mean(0), table.p @ exact, atol=0.01)
        np.testing.assert_allclose(mean.mean(0), table.p @ exact, atol=0.01)
        assert (mean == sampled).all() == (layer % 2 == 0)
    np.testing.assert_allclose(
        states[1].T @ states[0] / 40_000, (table.layers[1].T * table.p) @ table.layers[0], atol=0.01
    )


def test_samples_come_from_the_machine_and_a_held_unit_is_on() -> None:
    machine = machine_of((4, 3, 2), spread=0.5).float()
    table = Table(machine)
    free = machine.samples(20_000, [1, 20], torch.Generator().manual_seed(0))
    assert free.shape == (2, 20_000, 4)
    np.testing.assert_allclose(free[1].mean(0), table.p @ table.layers[0], atol=0.01)
    held = machine.samples(20_000, [20], torch.Generator().manual_seed(0), unit=1)
    on = table.p * table.layers[2][:, 1]
    np.testing.assert_allclose(held[0].mean(0), on @ table.layers[0] / on.sum(), atol=0.01)


class TestLearning:
    UNITS = (4, 3, 2)

    def learning(self, data: torch.Tensor, **options: Any) -> VariationalLearning:
        machine = machine_of(self.UNITS, spread=0.5).float()
        return VariationalLearning(machine, Examples(data), 0, DeepBoltzmann(weight_decay=0, **options))

    def data(self, rows: int = 6) -> torch.Tensor:
        draws = torch.Generator().manual_seed(1)
        return torch.randint(2, (rows, 4), generator=draws).float()

    def test_the_gradient_is_that_of_the_bound_of_the_log_likelihood(self) -> None:
        data = self.data()
        learning = self.learning(data, chains=200_000, gibbs_steps=10, mean_field_steps=200)
        machine = learning.module
        learning.gradient(data, None)
        found = {name: parameter.grad for name, parameter in machine.named_parameters()}
        machine.zero_grad()
        means = [each.detach() for each in machine.mean_field(data, 200)]
        bound = -machine.variational_free_energy(means).mean() - enumerated_log_partition(machine)
        (-bound).backward()
        for name, parameter in machine.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad, atol=0.005, rtol=0)

    def test_weight_decay_is_of_weights_alone(self) -> None:
        data, with_decay = self.data(), DeepBoltzmann(weight_decay=0.5)
        plain = self.learning(data)
        decayed = VariationalLearning(machine_of(self.UNITS, spread=0.5).float(), Examples(data), 0, with_decay)
        for each in (plain, decayed):
            each.gradient(data, None)
        for (name, one), other in zip(plain.module.named_parameters(), decayed.module.parameters(), strict=True):
            assert one.grad is not None
            assert other.grad is not None
            expected = one.grad + 0.5 * one if name.startswith("weights") else one.grad
            torch.testing.assert_close(other.grad, expected.detach())

    def test_learning_makes_the_data_more_likely_than_they_were(self) -> None:
        data = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 0]]).float()
        learning = self.learning(data, gibbs_steps=2, mean_field_steps=5)
        optimizer = torch.optim.SGD(learning.module.parameters(), lr=0.1)
        places = [int("".join(str(int(x)) for x in row), 2) for row in data]
        before = np.log(Table(learning.module).visible()[places]).mean()
        for _ in range(600):
            learning.gradient(data, None)
            optimizer.step()
        entropy = 0.5 * np.log(2) + 0.5 * np.log(4)
        after = np.log(Table(learning.module).visible()[places]).mean()
        assert before < -2.5
        assert -entropy - 0.4 < after < -entropy

    def test_the_bound_that_is_measured_at_the_end_is_exact_where_states_can_be_counted(self) -> None:
        data = self.data()
        learning = self.learning(data, likelihood=Likelihood(), mean_field_steps=50)
        found = learning.conclude({"train": Examples(data)}, Event())
        table = Table(learning.module)
        assert found["log_partition"] == pytest.approx(table.log_partition, abs=1e-5)
        places = [int("".join(str(int(x)) for x in row), 2) for row in data]
        exact = np.log(table.visible()[places]).mean()
        assert exact - 0.1 < found["train_log_likelihood_bound"] < exact + 1e-5
        assert self.learning(data).conclude({"train": Examples(data)}, Event()) == {}

    def test_annealed_importance_sampling_finds_the_partition_function_of_larger_ones(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learning = self.learning(self.data(), likelihood=Likelihood(runs=200, temperatures=500))
        exact = Table(learning.module).log_partition
        monkeypatch.setattr("nnpipe.pretraining.boltzmann_machine.LARGEST_ENUMERATION", 0)
        found = learning.conclude({}, Event())
        assert 0 < found["log_partition_standard_error"] < 0.05
        assert abs(found["log_partition"] - exact) < 3 * found["log_partition_standard_error"]

    def test_in_bfloat16_products_are_rounded_and_nothing_else_is(self) -> None:
        data = self.data(64)
        rule = DeepBoltzmann(weight_decay=0, chains=64)
        machines = (machine_of(self.UNITS, spread=0.5).float() for _ in range(2))
        full, half = (
            VariationalLearning(machine, Examples(data), 0, rule, precision)
            for machine, precision in zip(machines, ("float32", "bfloat16"), strict=True)
        )
        gradients = []
        for learning in (full, half):
            learning.gradient(data, None)
            found = [parameter.grad for parameter in learning.module.parameters() if parameter.grad is not None]
            assert {each.dtype for each in (*found, *learning.module.buffers())} == {torch.float32}
            gradients.append(torch.cat([each.flatten() for each in found]))
        exact, rounded = gradients
        assert 0 < float((exact - rounded).norm()) < 0.1 * float(exact.norm())
        assert half.measure(data, None) == full.measure(data, None)

    def test_measures_draw_nothing_and_are_those_of_learning(self) -> None:
        data = self.data()
        learning = self.learning(data)
        state = learning.generators["samples"].get_state()
        measured = learning.measure(data, None)
        assert torch.equal(learning.generators["samples"].get_state(), state)
        assert learning.gradient(data, None) == measured
        means = learning.module.mean_field(data, 10)
        back = torch.sigmoid(means[1] @ learning.module.weights[0] + learning.module.biases[0])
        assert measured["reconstruction_error"].item() == pytest.approx((back - data).square().sum().item())


def enumerated_log_partition(machine: DeepBoltzmannMachine) -> torch.Tensor:
    """log Z with its derivatives, by enumeration."""
    states = [each.float() for each in Table(machine).states()]
    return (-machine.energy(states)).logsumexp(0)


class TestComposing:
    def layers(self, units: tuple[int, ...]) -> list[dict[str, np.ndarray]]:
        rng = np.random.default_rng(3)
        return [
            {
                "weight": rng.normal(0, 0.7, (above, below)),
                "bias": rng.normal(0, 0.7, above),
                "visible_bias": rng.normal(0, 0.7, below),
            }
            for below, above in pairwise(units)
        ]

    @pytest.mark.parametrize("units", [(4, 3, 2), (3, 2, 3, 2)], ids=["4-3-2", "3-2-3-2"])
    def test_each_layer_hears_half_of_what_it_heard_from_each_side(self, units: tuple[int, ...]) -> None:
        """The conditionals of the machines that it is composed of, averaged in what units sum."""
        layers = self.layers(units)
        machine = DeepBoltzmannMachine.composed(layers).double()
        rng = np.random.default_rng(0)
        states = [rng.integers(2, size=(5, number)).astype(float) for number in units]
        last = len(layers)
        for layer in range(1, last):
            below, above = layers[layer - 1], layers[layer]
            from_below = states[layer - 1] @ below["weight"].T + below["bias"]
            copies = 2 if layer == last - 1 else 1  # the last layer's hidden units were there twice
            from_above = copies * states[layer + 1] @ above["weight"] + above["visible_bias"]
            found = machine.layer_input([torch.from_numpy(each) for each in states], layer).detach()
            np.testing.assert_allclose(found, (from_below + from_above) / 2, atol=1e-6)

    def test_the_hidden_distribution_is_the_geometric_mean_of_those_below_and_above(self) -> None:
        first, second = self.layers((3, 2, 3))
        machine = DeepBoltzmannMachine.composed([first, second]).double()
        table = Table(machine)
        states = np.array(list(product((0.0, 1.0), repeat=2)))
        found = np.array([table.p[(table.layers[1] == h).all(1)].sum() for h in states])
        # Sum out both copies of the first machine's visible units, and of the second's hidden ones.
        below = states @ first["bias"] + 2 * np.logaddexp(0, first["visible_bias"] + states @ first["weight"] / 2).sum(
            1
        )
        above = states @ second["visible_bias"] + 2 * np.logaddexp(0, second["bias"] + states @ second["weight"].T).sum(
            1
        )
        expected = np.exp((below + above) / 2)
        np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-5)

    def test_what_a_machine_gives_to_a_network_composes_it_again(self) -> None:
        machine = machine_of((4, 3, 3, 2)).float()
        again = DeepBoltzmannMachine.composed([{n: t.numpy() for n, t in each.items()} for each in machine.layers()])
        for one, other in zip(machine.parameters(), again.parameters(), strict=True):
            torch.testing.assert_close(one, other)

    def test_a_network_starts_as_the_machine_hears_data_alone(self) -> None:
        machine = machine_of((4, 3, 3, 2))
        h = v = visible_states(machine)
        for layer, means in zip(machine.layers(), machine.mean_field(v, 0)[1:], strict=True):
            h = (h @ layer["weight"].T + layer["bias"]).sigmoid()
            torch.testing.assert_close(h, means)
        up, down = machine.layers()[0], machine.layers()[1]
        torch.testing.assert_close(up["decoder_weight"], machine.weights[0].T.detach())
        torch.testing.assert_close(down["decoder_weight"], 2 * machine.weights[1].T.detach())
