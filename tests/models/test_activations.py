"""The nonlinearities against SciPy and the formulas of their papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import special

from nnpipe.models.activations import ALIASES, RECTIFIERS, ActivationName, activation_function

FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * special.ndtr(x),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "linear": lambda x: x,
    "softmax": lambda x: special.softmax(x, axis=1),
}
X = np.linspace(-30, 30, 4 * 3 * 5).reshape(4, 3, 5)


def test_every_activation_has_a_formula() -> None:
    assert set(FORMULAS) == set(get_args(ActivationName))
    assert {*RECTIFIERS, *ALIASES.values()} <= set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_computes_its_formula(name: ActivationName) -> None:
    found = activation_function(name)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, FORMULAS[name](X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_its_gradient_is_that_of_finite_differences(name: ActivationName) -> None:
    x = torch.linspace(-3.1, 2.9, 24, dtype=torch.float64).reshape(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(activation_function(name), x)
