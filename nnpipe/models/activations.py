"""The nonlinearities of a network: their names for planning, their functions for computing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ActivationName = Literal[
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "softplus", "softsign", "linear", "softmax"
]
# MATLAB's names; a spec may use them, and nothing behind it ever sees them.
Alias = Literal["logsig", "tansig", "poslin", "elliotsig", "purelin"]
ALIASES: dict[str, ActivationName] = {
    "logsig": "sigmoid",
    "tansig": "tanh",
    "poslin": "relu",
    "elliotsig": "softsign",
    "purelin": "linear",
}
LEAK = 0.01  # slope of leaky_relu below zero: Maas, Hannun & Ng 2013, section 2
RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "softplus")  # linear above zero, nearly flat below


def _canonical(name: Any) -> Any:
    return ALIASES.get(name, name) if isinstance(name, str) else name


Activation = Annotated[ActivationName, BeforeValidator(_canonical, json_schema_input_type=ActivationName | Alias)]


def activation_function(name: ActivationName) -> Callable[[Tensor], Tensor]:
    """The function of (batch, features or channels, ...) called ``name``; softmax goes over axis 1.

    sigmoid 1 / (1 + exp(-x)); softplus log(1 + exp(x)); softsign x / (1 + |x|);
    leaky_relu x above zero, 0.01 x below (Maas, Hannun & Ng 2013);
    elu x above zero, exp(x) - 1 below (Clevert, Unterthiner & Hochreiter 2016, equation 15, alpha 1);
    gelu x times the normal distribution function of x, not its approximation (Hendrycks & Gimpel 2016, section 2).
    """
    import torch
    from torch.nn import functional as F

    functions: dict[ActivationName, Callable[[Tensor], Tensor]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": _leaky_relu,
        "elu": F.elu,
        "gelu": F.gelu,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "linear": _linear,
        "softmax": _softmax,
    }
    return functions[name]


def _leaky_relu(x: Tensor) -> Tensor:
    from torch.nn import functional as F

    return F.leaky_relu(x, LEAK)


def _linear(x: Tensor) -> Tensor:
    return x


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(1)
