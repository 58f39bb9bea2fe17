"""The gradient of contrastive divergence by weights: what a machine makes of itself less what it makes of the data."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nnpipe.training.precision import Precision, products_in


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
    model_h = model.h * (len(data.v) / len(model.v))
    h = torch.cat((model_h.bfloat16(), data.h.neg().bfloat16()))
    v = torch.cat((model.v.bfloat16(), data.v.bfloat16()))
    with products_in(precision, weight.device.type):
        gradient = torch.addmm(weight, h.T, v, beta=weight_decay, alpha=1 / len(data.v))
    return gradient.to(weight.dtype)
