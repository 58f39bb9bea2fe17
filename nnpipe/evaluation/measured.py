"""What measuring gives, whatever was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LISTED = 20  # examples that are told one by one


@dataclass(frozen=True)
class Measured:
    """metrics: name -> value, every name with ``test_`` before.

    intervals: name -> (low, high), a 95 % bootstrap interval of a metric; not every metric has one.
    details: tables and lists, as JSON.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    details: dict[str, Any] = field(default_factory=dict)
