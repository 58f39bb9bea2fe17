"""J'J and J'e of a least squares problem, a slice of the examples at a time, so that J never exists as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jacrev, vmap

SLICE = 2**26  # bytes of J at a time
EXAMPLES = 1000  # at a time, where there is no J

# (weights (n,), x, y) -> residuals (batch, outputs)
Residuals = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class NormalEquations:
    """gram: J'J, (n, n); slope: J'e, (n,); J being the derivative of all residuals e by the n weights."""

    gram: Tensor
    slope: Tensor


def normal_equations(
    residuals: Residuals, weights: Tensor, x: Tensor, y: Tensor | None, outputs: int, rows: int | None = None
) -> NormalEquations:
    """At ``weights``, summed over examples in the weights' dtype. rows: examples in a slice; None: by ``SLICE``."""
    n = len(weights)

    def one(weights: Tensor, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        errors = residuals(weights, x.unsqueeze(0), None if y is None else y.unsqueeze(0))[0]
        return errors, errors

    each = vmap(jacrev(one, has_aux=True), in_dims=(None, 0, None if y is None else 0))
    gram, slope = weights.new_zeros(n, n), weights.new_zeros(n)
    for part in slices(weights.dtype, x, y, rows or max(1, SLICE // (weights.element_size() * n * outputs))):
        jacobian, errors = each(weights, *part)
        jacobian = jacobian.reshape(-1, n)
        gram.addmm_(jacobian.T, jacobian)
        slope.addmv_(jacobian.T, errors.reshape(-1))
    return NormalEquations(gram, slope)


def sum_of_squares(residuals: Residuals, weights: Tensor, x: Tensor, y: Tensor | None) -> tuple[float, int]:
    """The sum of squared residuals at ``weights``, and how many each example has."""
    total, outputs = 0.0, 1
    with torch.no_grad():
        for part in slices(weights.dtype, x, y, EXAMPLES):
            errors = residuals(weights, *part)
            total, outputs = total + float(errors.square().sum()), errors.shape[1]
    return total, outputs


def slices(dtype: torch.dtype, x: Tensor, y: Tensor | None, rows: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """So many examples at a time, numbers as ``dtype``; labels stay whole numbers."""
    for start in range(0, len(x), rows):
        answers = None if y is None else y[start : start + rows]
        if answers is not None and answers.is_floating_point():
            answers = answers.to(dtype)
        yield x[start : start + rows].to(dtype), answers
