"""How training went in several runs, in one plot: a colour for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnpipe.plots import words
from nnpipe.plots.learning_curves import MEASURES
from nnpipe.plots.picture import Drawing
from nnpipe.plots.sweep import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TOLD = 300  # points of a plot that the pointer tells


@dataclass(frozen=True)
class Course:
    """A run's training. label: what the run is called; records: one an epoch, at least one."""

    label: str
    records: Sequence[Mapping[str, float]]

    def values(self, measure: str) -> tuple[list[float], list[float]]:
        """Epochs and the measure after each of them, of the runs' unseen examples where they were measured."""
        name = f"val_{measure}" if f"val_{measure}" in self.records[0] else measure
        known = [record for record in self.records if record.get(name) is not None]
        return [record["epoch"] for record in known], [record[name] for record in known]


def draw_courses(courses: Sequence[Course]) -> Drawing | None:
    """Draw the measures that all runs have, a panel each; None where they have none in common."""
    from nnpipe.plots.style import new_figure

    measures = [name for name in MEASURES if all(course.values(name)[0] for course in courses)]
    if not measures:
        return None
    figure = new_figure(0.3 + 2.1 * len(measures) + 0.19 * len(courses))
    panels = figure.subplots(len(measures), sharex=True, squeeze=False)[:, 0]
    for axes, measure in zip(panels, measures, strict=True):
        _draw_panel(axes, courses, measure, told=_points(courses) * len(measures) <= MOST_TOLD)
    panels[-1].set_xlabel("epoch")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left")
    ends = "; ".join(f"{course.label}: {_end(course, measures)}" for course in courses)
    return Drawing(
        title="Learning curves",
        caption="The full lines are measured after each epoch on examples that are not learnt from (where there are "
        f"none, on those that are), the thin dashed ones on those learnt from. After the last epoch: {ends}.",
        alt=f"Curves of {words.joined([words.kind(name) for name in measures])}. {ends}.",
        figure=figure,
        plot=True,
    )


def _points(courses: Sequence[Course]) -> int:
    return sum(len(course.records) for course in courses)


def _draw_panel(axes: Axes, courses: Sequence[Course], measure: str, *, told: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import SERIES, tell

    for course, colour in zip(courses, SERIES, strict=False):
        epochs, values = course.values(measure)
        mark = "o" if len(epochs) <= 30 else ""
        axes.plot(epochs, values, color=colour, marker=mark, markersize=3, label=shortened(course.label))
        if f"val_{measure}" in course.records[0] and measure in course.records[0]:
            seen = [record[measure] for record in course.records]
            axes.plot([r["epoch"] for r in course.records], seen, "--", color=colour, linewidth=0.9)
        if told:
            pairs = zip(epochs, values, strict=True)
            tell(axes, epochs, values, (f"{course.label}, epoch {epoch}: {value:.4g}" for epoch, value in pairs))
    axes.set_title(words.kind(measure).capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.margins(y=0.12)


def _end(course: Course, measures: Sequence[str]) -> str:
    ends = (f"{words.kind(name)} {course.values(name)[1][-1]:.4g}" for name in measures)
    return f"{', '.join(ends)} after {len(course.records)} {'epoch' if len(course.records) == 1 else 'epochs'}"
