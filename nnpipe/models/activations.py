"""The nonlinearities of a network: their names for planning, their functions for computing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Activation = Literal["sigmoid", "tanh", "relu", "linear", "softmax"]


def activation_function(name: Activation) -> Callable[[Tensor], Tensor]:
    """The function of (batch, features or channels, ...) called ``name``; softmax goes over axis 1."""
    import torch

    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "linear": _linear,
        "softmax": _softmax,
    }
    return functions[name]


def _linear(x: Tensor) -> Tensor:
    return x


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(1)
