"""In which numbers a learning step multiplies matrices. Weights, and all else, are float32 always."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

Precision = Literal["float32", "bfloat16"]
PrecisionOrAuto = Literal["float32", "bfloat16", "auto"]
SPEED = (
    "bfloat16: up to twice as fast on processors that know it; auto: that where it was measured to be fast, and where "
    "it is exact enough."
)


def settled(precision: PrecisionOrAuto) -> Precision:
    """``precision`` as a plan decided it.

    Raises:
        ValueError: it is auto still, so no plan was made.
    """
    if precision == "auto":
        raise ValueError("precision auto is decided when a plan is made")
    return precision


def products_in(precision: Precision, device_type: str) -> AbstractContextManager[object]:
    """Where products of matrices, and convolutions, are computed so: what they give is of this dtype, too."""
    if precision == "float32":
        return nullcontext()
    import torch

    return torch.autocast(device_type, torch.bfloat16)
