"""How well scores tell each class from the rest: what is found of it against what is wrongly taken for it."""

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

NEAR = 0.1  # of the corner above on the left: curves that all come so near hug it, and are drawn larger there
STARTS = (0.99, 0.98, 0.95, *(tenths / 10 for tenths in range(9, -1, -1)))  # where the axis upwards may begin
FOUND = 0.99  # of a class, for which the caption tells the price


class RocCurves(Picture):
    """True against false positive rate over all thresholds, each class against the rest, and their mean.

    Fawcett (2006), "An introduction to ROC analysis", sections 3 to 9.
    """

    kind: Literal["roc_curves"] = "roc_curves"
    needs: ClassVar[str] = "classes, and test examples of more than one of them"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        return has_curves(subject)

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        curves = roc_curves(subject)
        mean = mean_roc(curves) if len(subject.class_names) > 2 else None
        figure = new_figure(WIDTH * 1.15)
        axes = figure.add_subplot()
        handles = draw_curves(axes, curves, mean)
        view = _choose_view(axes, [*curves, *([mean] if mean else [])])
        tell_curves(axes, curves, "taken of the rest", "found", subject.score)
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        seen = f"{areas_in_words(curves, mean, 'area', len(subject.truth))} {_price(mean or curves[0])}"
        who = "Each class against all others" if mean else f"{curves[0].name} against {subject.class_names[0]}"
        return Drawing(
            title="ROC curves" if mean else "ROC curve",
            caption=f"{who}: an example counts as the class where its {subject.score} is above a threshold, and the "
            "threshold goes from high to low. Upwards, the share of the class that is found; across, the share of the "
            f"rest that is wrongly taken for it: the nearer to the corner above on the left, the better.{view} The "
            "area below a curve is the chance that an example of the class has a higher "
            f"{subject.score} than one of the rest; guessing gives 0.5. {seen}",
            alt=f"True against false positive rate, {'a curve a class' if mean else 'one curve'}. {seen}",
            figure=figure,
            plot=True,
        )


def roc_curves(subject: Subject) -> list[Curve]:
    """x: false positive rates; y: true positive rates."""
    from sklearn.metrics import auc, roc_curve

    curves = []
    for name, scores, positive in against_the_rest(subject):
        false, true, thresholds = roc_curve(positive, scores)
        curves.append(Curve(name, false, true, thresholds, float(auc(false, true))))
    return curves


def mean_roc(curves: Sequence[Curve]) -> Curve:
    """The mean true positive rate at each false positive rate; the area below it is the mean area."""
    import numpy as np

    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    # A curve may rise at a place: it is read there from the left, and from the right.
    low = np.mean([np.interp(-grid, -curve.x[::-1], curve.y[::-1]) for curve in curves], axis=0)
    high = np.mean([np.interp(grid, curve.x, curve.y) for curve in curves], axis=0)
    x, y = np.repeat(grid, 2), np.stack([low, high], axis=1).ravel()
    return Curve("a class", x, y, np.full(len(x), np.nan), float(np.mean([curve.area for curve in curves])))


def _choose_view(axes: Axes, curves: Sequence[Curve]) -> str:
    """Show all of the square, or, where every curve hugs its corner, more of the corner; how, in words."""
    import numpy as np

    from nnpipe.plots.style import MUTED, logarithmic

    axes.set_xlabel("taken of the rest (false positive rate)")
    axes.set_ylabel("found of the class (true positive rate)")
    if not 0 < max(np.maximum(curve.x, 1 - curve.y).min() for curve in curves) <= NEAR:
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        return " Guessing gives the dashed line."
    least = min(curve.x[curve.x > 0].min() for curve in curves) / 2
    for line in axes.lines:  # 0 is infinitely far on a logarithmic axis: a curve begins with what is found there
        x, y = np.asarray(line.get_xydata()).T
        first = np.searchsorted(x, 0, "right") - 1
        line.set_data(np.maximum(x[first:], least), y[first:])
    start = next(start for start in STARTS if all(curve.y[curve.x == 0].max() >= start for curve in curves))
    logarithmic(axes.xaxis)
    axes.set(xlim=(least, 1), ylim=(start, 1))
    begins = f" and the axis upwards begins at {start:g}" if start else ""
    return f" As all curves hug the corner, the axis across is logarithmic{begins}."


def _price(curve: Curve) -> str:
    """What share of the rest is taken for a class of which ``FOUND`` is found."""
    price = float(curve.x[curve.y >= FOUND].min())
    return f"For {FOUND:.0%} of {curve.name} to be found, {price:.2%} of the rest are taken for it."
