"""The table of a sweep: for each combination of the axes other than the seed, measures over the seeds."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnpipe.spec.matrix import SEED
from nnpipe.spec.words import words
from nnpipe.store.canonical import JSON, canonical_json

FIRST = ("test_accuracy", "test_loss")  # what is told of classifiers unless something else is asked for


@dataclass(frozen=True)
class Statistic:
    """A measure over the seeds.

    mean: None without a run.
    std: of the sample (divided by n - 1), None with fewer than two runs.
    each: the values, in the order of the runs.
    """

    mean: float | None
    std: float | None
    n: int
    each: tuple[float, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        return {"mean": self.mean, "std": self.std, "n": self.n}

    def __str__(self) -> str:
        if self.mean is None:
            return "-"
        spread = "" if self.std is None else f" ± {decimal(self.std)}"
        return f"{decimal(self.mean)}{spread}"


@dataclass(frozen=True)
class Row:
    """A combination of the axes other than the seed. values: axis -> value; measures: name -> over the seeds."""

    values: Mapping[str, Any]
    measures: Mapping[str, Statistic]

    def to_json(self) -> dict[str, JSON]:
        return {**self.values, **{name: measure.to_json() for name, measure in self.measures.items()}}


def table(runs: Iterable[tuple[Mapping[str, Any], Mapping[str, float]]], metrics: Sequence[str]) -> list[Row]:
    """One row a combination, in the order of the runs.

    runs: of each its axis -> value, and its measures; a run without them counts nothing.
    """
    values: dict[bytes, dict[str, Any]] = {}
    found: dict[bytes, dict[str, list[float]]] = {}
    for given, measures in runs:
        others = {axis: value for axis, value in given.items() if axis != SEED}
        key = canonical_json(others)
        values[key] = others
        columns = found.setdefault(key, {name: [] for name in metrics})
        for name in metrics:
            if name in measures:
                columns[name].append(measures[name])
    return [Row(values[key], {name: _statistic(column) for name, column in found[key].items()}) for key in found]


def told_measures(runs: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
    """The measures that are told unless others are asked for: accuracy and loss of a classifier, else all there are."""
    known = list(dict.fromkeys(name for measures in runs for name in measures))
    return tuple(name for name in FIRST if name in known) if FIRST[0] in known else tuple(known)


def best(rows: Sequence[Row], metric: str) -> Row | None:
    """The row with the best mean of ``metric``; the first of several."""
    there = [(row, row.measures[metric].mean) for row in rows]
    known = [(row, mean) for row, mean in there if mean is not None]
    choose = min if smaller_is_better(metric) else max
    return choose(known, key=lambda each: each[1])[0] if known else None


def smaller_is_better(metric: str) -> bool:
    """Whether a measure is a loss or an error."""
    return any(word in metric.split("_") for word in ("loss", "error", "deviation"))


def to_csv(rows: Sequence[Row]) -> str:
    """The table as CSV: a column for each axis, then mean, standard deviation and n of each measure, in all digits."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if rows:
        names = [f"{name}_{part}" for name in rows[0].measures for part in ("mean", "std", "n")]
        writer.writerow([*rows[0].values, *names])
    for row in rows:
        cells = [cell for m in row.measures.values() for cell in (m.mean, m.std, m.n)]
        writer.writerow([*map(words, row.values.values()), *cells])
    return buffer.getvalue()


def short_names(axes: Sequence[str]) -> dict[str, str]:
    """Axis -> the end of its name that tells it from the others: ``train.optimizer.learning_rate``, learning_rate."""
    found = {}
    for axis in axes:
        parts = axis.split(".")
        ends = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        others = [other for other in axes if other != axis]
        alone = (e for e in ends if not e.isdigit() and not any(f".{o}".endswith(f".{e}") for o in others))
        found[axis] = next(alone, axis)
    return found


def _statistic(values: Sequence[float]) -> Statistic:
    mean = statistics.fmean(values) if values else None
    return Statistic(mean, statistics.stdev(values) if len(values) > 1 else None, len(values), tuple(values))


def decimal(value: float) -> str:
    """A measure with four decimals; with three digits where it is tiny."""
    return f"{value:.4f}" if value == 0 or abs(value) > 1e-3 else f"{value:.2e}"
