"""The plots of a sweep's report: each measure over an axis, and how the loss went in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnpipe.plots.sweep import MOST_LINES, Line, Point
from nnpipe.plots.sweep_curves import Curve
from nnpipe.spec.matrix import SEED
from nnpipe.spec.words import words
from nnpipe.stages.report_pictures import drawing
from nnpipe.stages.sweep_table import Row, short_names, smaller_is_better, table
from nnpipe.store.canonical import canonical_json

if TYPE_CHECKING:
    from nnpipe.plots.picture import Drawing


@dataclass(frozen=True)
class Course:
    """How one run's training went. values: of the axes; losses: the training loss after each of ``epochs``."""

    values: Mapping[str, Any]
    epochs: Sequence[int]
    losses: Sequence[float]


def plots(
    axes: Sequence[str],
    metrics: Sequence[str],
    rows: Sequence[Row],
    runs: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]],
    courses: Sequence[Course],
) -> Iterator[dict[str, Any]]:
    """A plot of each measure that some run has, and one of how training went, as a page shows them."""
    from nnpipe.plots import style

    with style.applied():
        for number, drawn in enumerate(_drawings(axes, metrics, rows, runs, courses), start=1):
            yield drawing(drawn, str(number))


def _drawings(
    axes: Sequence[str],
    metrics: Sequence[str],
    rows: Sequence[Row],
    runs: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]],
    courses: Sequence[Course],
) -> Iterator[Drawing]:
    from nnpipe.plots.sweep import draw
    from nnpipe.plots.sweep_curves import draw_curves

    several = [axis for axis in axes if axis != SEED]
    if not several:  # seeds alone: each is a point
        rows = [Row(values, table([(values, measures)], metrics)[0].measures) for values, measures in runs]
    axis = main_axis(rows, several or [SEED])
    names = short_names(axes)
    others = [name for name in several if name != axis]
    values = list({canonical_json(row.values[axis]): row.values[axis] for row in rows}.values())
    if _numeric(values):
        values.sort()
    for metric in metrics:
        lines = lines_over(rows, metric, axis, values, others)
        if lines:
            shown = values if _numeric(values) else [words(value) for value in values]
            told = ", ".join(names[name] for name in others)
            yield draw(metric, names[axis], shown, lines, told, smaller=smaller_is_better(metric))
    curves = curves_of(courses, several)
    if curves:
        yield draw_curves(curves, ", ".join(names[name] for name in several))


def main_axis(rows: Sequence[Row], axes: Sequence[str]) -> str:
    """The axis to plot over: the first of numbers, or else the first, of those with more than one value."""
    several = [axis for axis in axes if len({canonical_json(row.values[axis]) for row in rows}) > 1] or list(axes)
    return next((axis for axis in several if _numeric([row.values[axis] for row in rows])), several[0])


def lines_over(rows: Sequence[Row], metric: str, axis: str, values: Sequence[Any], others: Sequence[str]) -> list[Line]:
    """A line for each combination of the other axes, in their order; the best ones first where they are many."""
    found: dict[str, dict[int, Point]] = {}
    for place, value in enumerate(values):
        for row in rows:
            measure = row.measures[metric]
            if canonical_json(row.values[axis]) == canonical_json(value) and measure.mean is not None:
                label = ", ".join(words(row.values[name]) for name in others)
                found.setdefault(label, {})[place] = Point(measure.mean, measure.std, measure.each)
    order = {
        ", ".join(words(row.values[name]) for name in others): index for index, row in reversed([*enumerate(rows)])
    }
    lines = [Line(label, found[label]) for label in sorted(found, key=order.__getitem__)]
    if len(lines) <= MOST_LINES:
        return lines
    sign = 1 if smaller_is_better(metric) else -1
    return sorted(lines, key=lambda line: min(sign * point.mean for point in line.points.values()))


def curves_of(courses: Sequence[Course], axes: Sequence[str]) -> list[Curve]:
    """A curve for each combination of ``axes`` that trained for some epochs, in their order, with all its seeds."""
    found: dict[str, list[Course]] = {}
    for course in courses:
        found.setdefault(", ".join(words(course.values[name]) for name in axes), []).append(course)
    longest = [(label, max(same, key=lambda course: len(course.epochs)), same) for label, same in found.items()]
    return [
        Curve(label, longer.epochs, [course.losses for course in same])
        for label, longer, same in longest
        if len(longer.epochs) > 1
    ]


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
