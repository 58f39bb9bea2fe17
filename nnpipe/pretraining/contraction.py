"""How much an encoder's answer changes with its input: the squared Frobenius norm of its Jacobian, in closed form.

Rifai, Vincent, Muller, Glorot & Bengio 2011, "Contractive auto-encoders", section 2. Where an activation looks at one
sum alone, the Jacobian is diag(f'(sums)) W: a unit adds the square of its slope times the sum of its squared weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nnpipe.models.activations import LEAK, ActivationName
from nnpipe.models.encoder_decoder import EncoderDecoder


def squared_jacobian(module: EncoderDecoder, activation: ActivationName, sums: Tensor, hidden: Tensor) -> Tensor:
    """Summed over the batch, 0-d; its gradient reaches the weights through slopes and all.

    sums, hidden: before and after ``activation``, any but softmax.
    """
    return (SLOPES[activation](sums, hidden).square() * module.squared_weights()).sum()


def _softsign(a: Tensor, h: Tensor) -> Tensor:
    return (1 - h.abs()).square()


def _elu(a: Tensor, h: Tensor) -> Tensor:
    return torch.where(a > 0, 1, h + 1)


def _gelu(a: Tensor, h: Tensor) -> Tensor:
    below, density = (a / math.sqrt(2)).erf() / 2 + 0.5, (-a.square() / 2).exp() / math.sqrt(2 * math.pi)
    return below + a * density


# f'(a), from the sum a or the activation h = f(a), whichever is simpler.
SLOPES: dict[ActivationName, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": lambda a, h: h * (1 - h),
    "tanh": lambda a, h: 1 - h.square(),
    "relu": lambda a, h: (a > 0).to(a.dtype),
    "leaky_relu": lambda a, h: torch.where(a > 0, 1, LEAK).to(a.dtype),
    "elu": _elu,
    "gelu": _gelu,
    "softplus": lambda a, h: a.sigmoid(),
    "softsign": _softsign,
    "linear": lambda a, h: torch.ones_like(a),
}
