"""What curves of classes have in common, each class against the rest: which are named, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from nnpipe.plots.picture import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

NAMED = 6  # classes in colours of their own; of more only the worst but one of that many have one
MOST_TOLD = 240  # points of a figure


@dataclass(frozen=True)
class Curve:
    """One class against the rest. x ascends; x, y and ``thresholds``: (points,); ``area``: below it."""

    name: str
    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray
    area: float


class OneClass(NamedTuple):
    """name; scores: (examples,); positive: (examples,) bool, whether they are of the class."""

    name: str
    scores: np.ndarray
    positive: np.ndarray


def has_curves(subject: Subject) -> bool:
    """Whether there are classes, and test examples of more than one."""
    return bool(subject.class_names) and len(subject.truth) > 0 and subject.truth.min() < subject.truth.max()


def against_the_rest(subject: Subject) -> Iterator[OneClass]:
    """Of two classes the second, of more each that occurs among the test examples."""
    names = subject.class_names
    for label in [1] if len(names) == 2 else range(len(names)):
        positive = subject.truth == label
        if positive.any():
            yield OneClass(names[label], subject.predictions[:, label], positive)


def named(curves: Sequence[Curve]) -> list[Curve]:
    """Those that have a colour: all where they are few, else those of the least area, the least first."""
    if len(curves) <= NAMED:
        return list(curves)
    return sorted(curves, key=lambda curve: curve.area)[: NAMED - 1]


def draw_curves(
    axes: Axes, curves: Sequence[Curve], mean: Curve | None, drawstyle: Literal["default", "steps-pre"] = "default"
) -> list[Line2D]:
    """Draw those that are named in colours, the others pale, their ``mean`` in ink; what a legend shows, with areas."""
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.style import INK, MUTED, SERIES

    coloured = named(curves)
    pale = [curve for curve in curves if curve not in coloured]
    shown = []
    if mean is not None:
        label = f"mean of {len(curves)}: {mean.area:.4f}"
        shown += axes.plot(mean.x, mean.y, drawstyle=drawstyle, color=INK, linewidth=2.2, label=label, zorder=2.2)
    for curve, colour in zip(coloured, SERIES, strict=False):
        label = f"{shortened(curve.name, 14)}: {curve.area:.4f}"
        shown += axes.plot(curve.x, curve.y, drawstyle=drawstyle, color=colour, linewidth=1.4, label=label)
    for curve in pale:
        least, most = (chosen(other.area for other in pale) for chosen in (min, max))
        label = f"{len(pale)} others: {least:.4f} to {most:.4f}"
        faint = axes.plot(curve.x, curve.y, drawstyle=drawstyle, color=MUTED, alpha=0.4, linewidth=1, label=label)
        shown += faint if curve is pale[0] else []
    return shown


def tell_curves(axes: Axes, curves: Sequence[Curve], across: str, upwards: str, score: str) -> None:
    """Say what points of named curves are that are in view; ``across`` and ``upwards``: what their shares are of."""
    import numpy as np

    from nnpipe.plots.style import tell

    coloured = named(curves)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for curve in coloured:
        seen = (curve.x >= left) & (curve.x <= right) & (curve.y >= low) & (curve.y <= high)
        places = np.flatnonzero(seen & np.isfinite(curve.thresholds))
        few = np.unique(np.linspace(0, len(places) - 1, MOST_TOLD // len(coloured)).round().astype(int))
        chosen = places[few] if len(places) else places
        points = [(float(curve.x[i]), float(curve.y[i]), float(curve.thresholds[i])) for i in chosen]
        told = [f"{curve.name} from {score} {t:.3g}: {upwards} {y:.1%}, {across} {x:.1%}" for x, y, t in points]
        tell(axes, curve.x[chosen], curve.y[chosen], told)


def areas_in_words(curves: Sequence[Curve], mean: Curve | None, what: str, examples: int) -> str:
    """The areas below the curves, ``what`` they are called, as a sentence; measured on so many test examples."""
    measured = f"On {examples:,} test examples the"
    if mean is None:
        return f"{measured} {what} is {curves[0].area:.4f}."
    order = sorted(curves, key=lambda curve: curve.area)
    least = ", ".join(f"{curve.name} ({curve.area:.4f})" for curve in order[:3])
    most = f"{order[-1].name} ({order[-1].area:.4f})"
    return f"{measured} mean {what} of {len(curves)} classes is {mean.area:.4f}, from the least: {least} ... {most}."
