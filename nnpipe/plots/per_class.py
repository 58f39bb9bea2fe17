"""Which classes are found, and which are trusted too often, with how sure so few examples make that."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

NORMAL = 1.959964  # between minus and plus this lie 95 % of a standard normal distribution
ROW, AROUND = 0.3, 1.1  # inches: a class, and what is above and below all of them
APART = 0.14  # of a row, between its middle and its dots


class Share(NamedTuple):
    """So many of so many, at least 1, and the ends of its interval."""

    part: int
    whole: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.part / self.whole

    def words(self) -> str:
        return f"{self.value:.1%} ({self.part:,} of {self.whole:,}, interval {self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True)
class OneClass:
    """recall: of its examples; precision: of the examples that are predicted as it; None where there are none."""

    name: str
    recall: Share | None
    precision: Share | None
    f1: float


class PerClass(Picture):
    """Recall and precision of each class as dots with intervals, the weakest class first."""

    kind: Literal["per_class"] = "per_class"
    needs: ClassVar[str] = "a confusion matrix among what was measured on the test examples"
    section: ClassVar[Section] = "results"
    classes: int = Field(20, ge=1, le=40, description="How many to show at most, of more the weakest.")

    def applies(self, subject: Subject) -> bool:
        return bool(subject.evaluation.get("confusion_matrix"))

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        every = by_class(subject)
        shown = every[: self.classes]
        figure = new_figure(AROUND + ROW * len(shown))
        axes = figure.add_subplot()
        _draw(axes, shown)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        which = f"the {len(shown)} weakest of {len(every)} classes" if len(shown) < len(every) else "all classes"
        seen = _seen(every)
        return Drawing(
            title="Results by class",
            caption="Recall is the share of a class that is found, precision the share of right ones among those "
            f"predicted as it. Shown are {which}, the one with the least F1 first. A line is the 95% interval (Wilson "
            "1927) of what many more examples of the same kind might show: the fewer examples, the longer. Where lines "
            f"overlap much, an order of classes says little. {seen}",
            alt=f"Recall and precision of {len(shown)} classes as dots with intervals. {seen}",
            figure=figure,
            plot=True,
        )


def by_class(subject: Subject) -> list[OneClass]:
    """The classes that occur or are predicted, the one with the least F1 first."""
    import numpy as np

    counts = np.asarray(subject.evaluation["confusion_matrix"])
    columns = (counts.diagonal().tolist(), counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist())
    found = [
        OneClass(name, wilson(right, true), wilson(right, said), 2 * right / (true + said))
        for name, right, true, said in zip(subject.class_names, *columns, strict=True)
        if true or said
    ]
    return sorted(found, key=lambda one: one.f1)


def wilson(part: int, whole: int) -> Share | None:
    """``part`` of ``whole`` with its 95 % score interval; None of 0.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference". Unlike a bootstrap's, it has
    a width where all or none are right.
    """
    if not whole:
        return None
    square = NORMAL**2
    middle = (part + square / 2) / (whole + square)
    reach = NORMAL / (whole + square) * sqrt(part * (whole - part) / whole + square / 4)
    return Share(part, whole, middle - reach, middle + reach)


def _draw(axes: Axes, shown: Sequence[OneClass]) -> None:
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.style import BLUE, ORANGE, tell

    series = (("recall", BLUE, "o", -APART), ("precision", ORANGE, "s", APART))
    for what, colour, mark, shift in series:
        known = [(row + shift, one.name, getattr(one, what)) for row, one in enumerate(shown) if getattr(one, what)]
        heights, values = [height for height, _, _ in known], [share.value for _, _, share in known]
        ends = [share.low for _, _, share in known], [share.high for _, _, share in known]
        axes.hlines(heights, *ends, color=colour, linewidth=1.6, alpha=0.5)
        axes.scatter(values, heights, s=26, color=colour, marker=mark, label=what, zorder=3, clip_on=False)
        tell(axes, values, heights, [f"{name}: {what} {share.words()}" for _, name, share in known])
    axes.set_yticks(range(len(shown)), [shortened(one.name, 14) for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(max(0, axes.get_xlim()[0]), 1)
    axes.set_xlabel("share")


def _seen(every: Sequence[OneClass]) -> str:
    """From the weakest to the best class; which has the least recall, which the least precision."""
    told = [f"F1 goes from {every[0].f1:.3f} ({every[0].name}) to {every[-1].f1:.3f} ({every[-1].name})."]
    for what in ("recall", "precision"):
        known: list[tuple[str, Share]] = [(one.name, getattr(one, what)) for one in every if getattr(one, what)]
        name, least = min(known, key=lambda entry: entry[1].value)
        told.append(f"The least {what} has {name}: {least.words()}.")
    return " ".join(told)
