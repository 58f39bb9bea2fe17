"""What a measure makes of one axis of a sweep: a line for each combination of the other axes, and its spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnpipe.plots.picture import Drawing
from nnpipe.plots.words import kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP"
DODGE = 0.09  # between lines over named values, of the distance of two values
LOGARITHMIC = 10.0  # largest over smallest value from which on an axis is logarithmic
MOST_LINES = 12  # six colours, full and dashed
LONGEST = 30  # characters of a label


@dataclass(frozen=True)
class Point:
    """A measure at one value of the axis. std: None for a single run; each: the single runs."""

    mean: float
    std: float | None
    each: Sequence[float]


@dataclass(frozen=True)
class Line:
    """A combination of the other axes. points: place of a value on the axis (from 0) -> what was measured there."""

    label: str
    points: Mapping[int, Point]


def draw(
    measure: str, axis: str, values: Sequence[float | str], lines: Sequence[Line], others: str, *, smaller: bool
) -> Drawing:
    """Draw ``measure`` over ``axis``.

    values: of the axis: all numbers, or names in the order in which they stand.
    lines: at least one, each with at least one point; those after the first MOST_LINES are left out.
    others: what the labels of the lines are.
    smaller: whether the best value is the smallest.
    """
    from nnpipe.plots.style import SERIES, new_figure, tell

    numeric = all(isinstance(value, int | float) for value in values)
    shown = lines[:MOST_LINES]
    legend = len(shown) > 1
    figure = new_figure(2.6 + (0.19 * len(shown) + 0.25 if legend else 0))
    axes = figure.subplots()
    places = _scale(axes, axis, values, numeric=numeric)
    for index, line in enumerate(shown):
        colour, style = SERIES[index % len(SERIES)], "-" if index < len(SERIES) else "--"
        shift = 0.0 if numeric else DODGE * (index - (len(shown) - 1) / 2) * min(1.0, 6 / len(shown))
        where = {place: places[place] + shift for place in line.points}
        for place, point in line.points.items():
            axes.plot([where[place]] * len(point.each), point.each, ".", color=colour, alpha=0.4, markersize=6)
        means = [point.mean for point in line.points.values()]
        spread = [point.std or 0.0 for point in line.points.values()]
        axes.errorbar(
            list(where.values()), means, spread if any(spread) else None,
            label=shortened(line.label), color=colour, linestyle=style if numeric else "none",
            marker=MARKERS[index % len(MARKERS)], markersize=5, capsize=3, elinewidth=1.1, linewidth=1.5,
        )  # fmt: skip
        tell(axes, where.values(), means, _told(line, values))
    axes.set_ylabel(kind(measure))
    axes.margins(y=0.12)
    if legend:
        figure.legend(loc="outside lower left", title=others, alignment="left", title_fontsize=8.5)
    title = f"{kind(measure).capitalize()} by {axis}"
    caption = f"{_how_to_read(lines, len(shown), numeric=numeric)} {_seen(lines, axis, values, smaller=smaller)}"
    return Drawing(title, caption, f"{title}: {_described(shown, values)}", figure)


def _told(line: Line, values: Sequence[float | str]) -> Iterator[str]:
    """What the pointer shows on the means of a line."""
    for place, point in line.points.items():
        spread = f" ± {point.std:.2g}" if point.std is not None else ""
        yield f"{line.label + ', ' if line.label else ''}{values[place]}: {point.mean:.4g}{spread}"


def _scale(axes: Axes, axis: str, values: Sequence[float | str], *, numeric: bool) -> list[float]:
    """Set the scale and the ticks of the axis; where each value lies."""
    from matplotlib.ticker import NullLocator

    axes.set_xlabel(axis)
    numbers = [float(value) for value in values] if numeric else [float(place) for place in range(len(values))]
    if numeric and min(numbers) > 0 and max(numbers) / min(numbers) >= LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(numbers, [f"{value:g}" if isinstance(value, int | float) else shortened(value) for value in values])
    if not numeric:
        axes.set_xlim(-0.5, len(values) - 0.5)
        if sum(len(shortened(str(value))) for value in values) > 50:
            axes.tick_params(axis="x", labelrotation=20)
    return numbers


def _how_to_read(lines: Sequence[Line], shown: int, *, numeric: bool) -> str:
    runs = [len(point.each) for line in lines for point in line.points.values()]
    how = "The large marks are means over the seeds, the small dots the single runs"
    bars = "; the bars reach one standard deviation of the sample up and down." if max(runs) > 1 else ": one run each."
    across = " Lines join values of one combination of the other axes." if numeric and shown > 1 else ""
    beside = " Marks of one value stand beside each other so that all are seen." if not numeric and shown > 1 else ""
    left_out = f" Of {len(lines)} lines only the best {shown} are drawn." if len(lines) > shown else ""
    return f"{how}{bars}{across}{beside}{left_out}"


def _seen(lines: Sequence[Line], axis: str, values: Sequence[float | str], *, smaller: bool) -> str:
    """Where the best mean is."""
    points = [(point.mean, line, place) for line in lines for place, point in line.points.items()]
    mean, line, place = (min if smaller else max)(points, key=lambda point: point[0])
    of = f", of {line.label}" if line.label else ""
    return f"The {'smallest' if smaller else 'largest'} mean, {mean:.4g}, is at {axis} {values[place]}{of}."


def _described(lines: Sequence[Line], values: Sequence[float | str]) -> str:
    told = (", ".join(f"{point.mean:.4g} at {values[place]}" for place, point in line.points.items()) for line in lines)
    return "; ".join(f"{line.label + ': ' if line.label else ''}{text}" for line, text in zip(lines, told, strict=True))


def shortened(label: object) -> str:
    """A label that is not too long for a legend."""
    text = str(label)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
