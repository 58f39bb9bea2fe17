"""The gradient of contrastive divergence by weights: what a machine makes of itself less what it makes of the data."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnpipe.training.precision import Precision


class Pairs(NamedTuple):
    """States of both sides, or their means: v (rows, visible), h (rows, hidden)."""

    v: Tensor
    h: Tensor


def contrast(weight: Tensor, data: Pairs, model: Pairs, weight_decay: float, precision: Precision) -> Tensor:
    """h' v of the model less that of the data, each a mean over its rows, and the decay of ``weight``.

    Returns (hidden, visible), of the dtype of ``weight``.
    """
    if precision == "float32":
        gradient = torch.addmm(weight, data.h.T, data.v, beta=weight_decay, alpha=-1 / len(data.v))
        return gradient.addmm_(model.h.T, model.v, alpha=1 / len(model.v))
    # One product, as both are larger than their difference and would have been rounded before it was taken.
    h = torch.cat((model.h / len(model.v), data.h / -len(data.v))).bfloat16()
    product = h.T @ torch.cat((model.v, data.v)).bfloat16()
    return torch.add(product, weight, alpha=weight_decay)
