"""Whether one network is better than another, and within limits: criteria, each with its figures and a reason in words.

Comparisons are paired: both networks were asked about the same examples, and a resample of the bootstrap holds the same
ones for both (Efron & Tibshirani 1993, "An Introduction to the Bootstrap"). So a difference is told from chance though
each measure alone may vary by more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from nnpipe.evaluation.bootstrap import RESAMPLES, Statistic, intervals
from nnpipe.evaluation.promote import SMALLER

SEED = 0  # of resamples: the same predictions give the same verdict
ROUNDING = 1e-9  # two recalls that differ by exactly what is allowed


@dataclass(frozen=True)
class Criterion:
    """One thing that was looked at. figures: JSON, what it was decided by."""

    name: str
    passed: bool
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def better(
    metric: str,
    candidate: Statistic,
    champion: Statistic,
    examples: int,
    by: float | Literal["interval"],
    *,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Criterion:
    """Whether the candidate's ``metric`` is better, told from chance or by more than a number.

    candidate, champion: the metric of each as a function of how often each of the ``examples`` counts. ``gain`` is
    positive where the candidate is better, whichever way the metric points.
    """
    once, sign = np.ones(examples), -1.0 if metric in SMALLER else 1.0
    mine, theirs = float(candidate(once)[0]), float(champion(once)[0])
    name = told(metric)
    if not np.isfinite([mine, theirs]).all():
        return Criterion("better", False, f"{name} has no value for one of the networks")
    gain = sign * (mine - theirs)
    found = intervals(lambda counts: sign * (candidate(counts) - champion(counts)), ["gain"], examples, seed, resamples)
    interval = found.get("gain", (gain, gain))
    passed = interval[0] > 0 if by == "interval" else gain > by
    how = f"better by {gain:.4g}" if gain > 0 else f"worse by {-gain:.4g}" if gain < 0 else "the same"
    why = f"95 % interval of the gain {interval[0]:.4g} to {interval[1]:.4g}"
    if by != "interval":
        why += f"; wanted: more than {by:g}"
    elif not passed:
        why += ", which chance alone can give" if interval[1] >= 0 else ""
    figures = {"metric": metric, "candidate": mine, "champion": theirs, "gain": gain, "interval": list(interval)}
    reason = f"{name} {mine:.4f}, the champion's {theirs:.4f}: {how} ({why})"
    return Criterion("better", passed, reason, {**figures, "by": by, "examples": examples})


def no_class_worse(
    truth: np.ndarray, candidate: np.ndarray, champion: np.ndarray, names: Sequence[str], most: float
) -> Criterion:
    """Whether no class's recall is below the champion's by more than ``most``. Labels, (n,) each."""
    support = np.bincount(truth, minlength=len(names))
    mine, theirs = (
        np.bincount(truth, truth == labels, len(names)) / np.maximum(support, 1) for labels in (candidate, champion)
    )
    worst = int(np.argmax(np.where(support > 0, theirs - mine, -np.inf)))
    lost = float(theirs[worst] - mine[worst])
    reason = (
        f"class {names[worst]}: recall {mine[worst]:.4f}, the champion's {theirs[worst]:.4f}"
        if lost > 0
        else "no class has less recall than the champion gives it"
    )
    figures = {"class": names[worst], "candidate": float(mine[worst]), "champion": float(theirs[worst]), "lost": lost}
    most_told = f"; {most:g} less is allowed" if lost > 0 else ""
    figures |= {"most": most, "examples": int(support[worst])}
    return Criterion("worst_class", lost <= most + ROUNDING, reason + most_told, figures)


def reached(metric: str, value: float, required: float) -> Criterion:
    """Whether a metric is what it has to be at least, or at most where less is better."""
    less = metric in SMALLER
    reason = f"{told(metric)} {value:.4f}, at {'most' if less else 'least'} {required:g} wanted"
    figures = {"metric": metric, "value": value, "required": required}
    return Criterion("required", value <= required if less else value >= required, reason, figures)


def within(name: str, what: str, value: float, most: float, unit: str) -> Criterion:
    """Whether something that costs is within its limit."""
    reason = f"{what} {value:.4g} {unit}, at most {most:g} {unit} wanted"
    return Criterion(name, value <= most, reason, {"value": value, "most": most})


def told(metric: str) -> str:
    """A metric in a sentence."""
    return metric.removeprefix("test_").replace("_", " ")
