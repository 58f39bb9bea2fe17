"""First weights against the formulas of the papers."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from nnpipe.models.initialisers import Initialiser, initialise

FAN_IN, FAN_OUT = 24 * 5 * 5, 40 * 5 * 5  # of the kernels below
VARIANCE = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "zeros": 0.0,
}


def drawn(name: Initialiser) -> torch.Tensor:
    weight = torch.empty(40, 24, 5, 5)
    initialise(name, weight, torch.Generator().manual_seed(0))
    return weight


@pytest.mark.parametrize("name", get_args(Initialiser))
def test_weights_have_the_spread_of_their_fans(name: Initialiser) -> None:
    weight = drawn(name)
    assert weight.mean().item() == pytest.approx(0, abs=4 * (VARIANCE[name] / weight.numel()) ** 0.5)
    assert weight.var().item() == pytest.approx(VARIANCE[name], rel=0.04)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_uniform"])
def test_uniform_weights_end_where_the_formula_says(name: Initialiser) -> None:
    limit = (3 * VARIANCE[name]) ** 0.5
    assert 0.999 * limit < drawn(name).abs().max().item() <= limit
