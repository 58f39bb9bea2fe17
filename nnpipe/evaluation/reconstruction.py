"""Measures of inputs that are given back through a code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnpipe.evaluation.bootstrap import intervals
from nnpipe.evaluation.measured import LISTED, Measured


def measure_reconstruction(
    errors: np.ndarray,
    component_errors: np.ndarray | None,
    losses: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    *,
    seed: int = 0,
) -> Measured:
    """Means over examples, their intervals, and what is told class by class and example by example.

    errors: (n,), the squared error of each example, summed over its values in the network's scale (Hinton &
    Salakhutdinov 2006 tell it so, of pixels from 0 to 1). component_errors: (n,), those of principal components as many
    as the code has units. losses: (n,). labels: (n,), which ``class_names`` are names of.
    """
    columns = {"test_squared_error": errors}
    if component_errors is not None:
        columns["test_pca_squared_error"] = component_errors
    columns["test_loss"] = losses.astype(np.float64)
    table = np.stack([*columns.values()], axis=1)
    found = intervals(lambda counts: counts @ table / counts.sum(), list(columns), len(table), seed)
    details: dict[str, Any] = {"largest_errors": _largest(errors)}
    if labels is not None:
        details["per_class"] = [_of_class(name, labels == label, columns) for label, name in enumerate(class_names)]
    return Measured({name: float(values.mean()) for name, values in columns.items()}, found, details)


def _of_class(name: str, chosen: np.ndarray, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """The means over the examples of a class; not of one that has none."""
    row: dict[str, Any] = {"name": name, "support": int(chosen.sum())}
    if row["support"]:
        row |= {key.removeprefix("test_"): float(values[chosen].mean()) for key, values in columns.items()}
    return row


def _largest(errors: np.ndarray) -> list[dict[str, Any]]:
    """The examples that are given back worst; ``index``: from 0."""
    worst = np.argsort(-errors, kind="stable")[:LISTED]
    return [{"index": int(index), "squared_error": float(errors[index])} for index in worst]
