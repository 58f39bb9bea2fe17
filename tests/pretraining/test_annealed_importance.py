"""Annealed importance sampling against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.pretraining.annealed_importance import _ladder, estimate_log_partition
from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.units.gaussian import Gaussian
from nnpipe.pretraining.units.softmax import Softmax
from nnpipe.pretraining.units.units import Units


def estimate(machine: BoltzmannMachine, seed: int = 0, runs: int = 100, temperatures: int = 300, **more: Any) -> Any:
    mean = torch.full_like(machine.visible_bias, 1 / len(machine.visible_bias))
    draws = torch.Generator().manual_seed(seed)
    return estimate_log_partition(machine, mean, runs=runs, temperatures=temperatures, generator=draws, **more)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (6, 5), (12, 12)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("seed", [0, 1])
def test_the_estimate_is_within_three_standard_errors_of_the_exact_value(
    make_machine: Callable[..., BoltzmannMachine], size: tuple[int, int], seed: int
) -> None:
    machine = make_machine(*size, seed=seed)
    exact, found = machine.log_partition().item(), estimate(machine.float(), seed)
    assert abs(found.log_partition - exact) < 3 * found.standard_error + 1e-5
    assert found.standard_error < 0.15
    assert 20 < found.effective_runs <= 100.001


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [(Gaussian(torch.nn.Parameter(torch.zeros(5))), None), (Softmax(), None), (None, Softmax()), (None, Gaussian())],
    ids=["gaussian-bernoulli", "softmax-bernoulli", "bernoulli-softmax", "bernoulli-linear"],
)
def test_the_estimate_holds_for_other_units(
    make_machine: Callable[..., BoltzmannMachine], visible: Units | None, hidden: Units | None
) -> None:
    machine = make_machine(5, 4, 2, 0.5, visible, hidden)
    exact, found = machine.log_partition().item(), estimate(machine)
    assert abs(found.log_partition - exact) < 3 * found.standard_error
    assert found.standard_error < 0.2


def test_the_standard_error_is_the_spread_of_estimates(make_machine: Callable[..., BoltzmannMachine]) -> None:
    machine = make_machine(6, 5)
    found = [estimate(machine, seed, temperatures=30) for seed in range(60)]
    spread = torch.tensor([each.log_partition for each in found]).std().item()
    said = torch.tensor([each.standard_error for each in found]).mean().item()
    assert spread == pytest.approx(said, rel=0.3)


def test_more_temperatures_tell_more(make_machine: Callable[..., BoltzmannMachine]) -> None:
    machine = make_machine(12, 12)
    assert estimate(machine, temperatures=1000).standard_error < estimate(machine, temperatures=20).standard_error / 3


def test_a_seed_gives_one_estimate(make_machine: Callable[..., BoltzmannMachine]) -> None:
    machine = make_machine(6, 5)
    assert estimate(machine, 1) == estimate(machine, 1) != estimate(machine, 2)


@pytest.mark.parametrize("temperatures", [1, 2, 10, 1000, 14499])
def test_inverse_temperatures_rise_from_0_to_1_slowly_at_the_end(temperatures: int) -> None:
    ladder = _ladder(temperatures)
    assert (ladder[0], ladder[-1], len(ladder)) == (0, pytest.approx(1), temperatures + 2)
    assert ladder == sorted(set(ladder))
    if temperatures == 14499:  # the literature's: 500 steps up to 0.5, 4,000 up to 0.9, 10,000 up to 1
        assert ladder[500] == pytest.approx(0.5)
        assert ladder[4500] == pytest.approx(0.9)


def test_a_wish_to_stop_is_heard(make_machine: Callable[..., BoltzmannMachine]) -> None:
    stopping = Event()
    stopping.set()
    with pytest.raises(Interrupted):
        estimate(make_machine(3, 2), stopping=stopping)
