"""How many of the examples that count as a class are of it, against how many of the class are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.class_curves import (
    Curve,
    against_the_rest,
    areas_in_words,
    draw_curves,
    has_curves,
    tell_curves,
)
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STARTS = (0.98, 0.95, 0.9, 0.8, 0.5, 0.0)  # where both axes may begin
SURE = 0.99  # precision, for which the caption tells the recall


class PrecisionRecallCurves(Picture):
    """Precision against recall over all thresholds, each class against the rest, and their mean.

    Davis & Goadrich (2006), "The relationship between precision-recall and ROC curves", section 2.
    """

    kind: Literal["precision_recall_curves"] = "precision_recall_curves"
    needs: ClassVar[str] = "classes, and test examples of more than one of them"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        return has_curves(subject)

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        curves = precision_recall_curves(subject)
        mean = mean_precision(curves) if len(subject.class_names) > 2 else None
        figure = new_figure(WIDTH * 1.15)
        axes = figure.add_subplot()
        handles = draw_curves(axes, curves, mean, "steps-pre")
        view = _choose_view(axes, [*curves, *([mean] if mean else [])])
        tell_curves(axes, curves, "recall", "precision", subject.score)
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        areas = areas_in_words(curves, mean, "average precision", len(subject.truth))
        seen = f"{areas} {_reach(mean or curves[0])}"
        who = "Each class against all others" if mean else f"{curves[0].name} against {subject.class_names[0]}"
        return Drawing(
            title="Precision and recall",
            caption=f"{who}: an example counts as the class where its {subject.score} is above a threshold, and the "
            "threshold goes from high to low. Across, the share of the class that is found (recall); upwards, the "
            "share of those that count as the class that are of it (precision): the nearer to the corner above on the "
            f"right, the better. The area below a curve is its average precision.{view} {seen}",
            alt=f"Precision against recall, {'a curve a class' if mean else 'one curve'}. {seen}",
            figure=figure,
            plot=True,
        )


def precision_recall_curves(subject: Subject) -> list[Curve]:
    """x: recall; y: precision, which holds from the recall before to its own, so that curves are steps."""
    import numpy as np
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves = []
    for name, scores, positive in against_the_rest(subject):
        precision, recall, thresholds = precision_recall_curve(positive, scores, drop_intermediate=True)
        limits = np.append(thresholds, np.inf)  # above all of them nothing counts as the class
        area = float(average_precision_score(positive, scores))
        curves.append(Curve(name, recall[::-1], precision[::-1], limits[::-1], area))
    return curves


def mean_precision(curves: Sequence[Curve]) -> Curve:
    """The mean precision at each recall; the area below its steps is the mean area."""
    import numpy as np

    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    y = np.mean([curve.y[np.searchsorted(curve.x, grid)] for curve in curves], axis=0)
    return Curve("a class", grid, y, np.full(len(grid), np.nan), float(np.mean([curve.area for curve in curves])))


def _choose_view(axes: Axes, curves: Sequence[Curve]) -> str:
    """Show all of the square, or, where every curve comes near its corner, the corner alone; how, in words."""
    import numpy as np

    away = max(float(np.maximum(1 - curve.x, 1 - curve.y).min()) for curve in curves)
    start = next(start for start in STARTS if 0 < 2 * away <= 1 - start or start == 0)
    axes.set_xlabel("found of the class (recall)")
    axes.set_ylabel("right among those found (precision)")
    axes.set(xlim=(start, 1), ylim=(start, 1))
    return f" As all curves come near the corner, both axes begin at {start:g}." if start else ""


def _reach(curve: Curve) -> str:
    """How much of a class is found where ``SURE`` of what counts as it is of it."""
    reach = float(curve.x[curve.y >= SURE].max())
    return f"With a precision of {SURE:.0%}, {reach:.1%} of {curve.name} is found."
