"""How the training loss of a sweep's runs went: a curve for each combination, thin ones for its single runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from nnpipe.plots.picture import Drawing
from nnpipe.plots.sweep import LOGARITHMIC, MOST_LINES, shortened

MANY = 100  # times the shortest run's epochs from which on epochs are on a logarithmic axis


@dataclass(frozen=True)
class Curve:
    """A combination. epochs: of its longest run; losses: of each run, after each of its epochs."""

    label: str
    epochs: Sequence[int]
    losses: Sequence[Sequence[float]]

    @property
    def mean(self) -> list[float]:
        """The geometric mean over the runs, after each epoch, of those that had it."""
        columns = zip_longest(*self.losses)
        return [_geometric_mean([value for value in column if value is not None]) for column in columns]


def draw_curves(curves: Sequence[Curve], others: str) -> Drawing:
    """Draw the losses over epochs. ``others``: what the labels are; curves after the first MOST_LINES are left out."""
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import SERIES, logarithmic, new_figure

    shown = curves[:MOST_LINES]
    legend = len(shown) > 1
    figure = new_figure(2.6 + (0.19 * len(shown) + 0.25 if legend else 0))
    axes = figure.subplots()
    for index, curve in enumerate(shown):
        colour, style = SERIES[index % len(SERIES)], "-" if index < len(SERIES) else "--"
        for losses in curve.losses if len(curve.losses) > 1 else ():
            axes.plot(curve.epochs[: len(losses)], losses, color=colour, alpha=0.35, linewidth=0.8)
        axes.plot(curve.epochs, curve.mean, style, color=colour, linewidth=1.6, label=shortened(curve.label))
    values = [value for curve in shown for losses in curve.losses for value in losses]
    lengths = [len(losses) for curve in shown for losses in curve.losses]
    if min(values) > 0 and max(values) / min(values) >= LOGARITHMIC:
        logarithmic(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if max(lengths) >= MANY * min(lengths):
        logarithmic(axes.xaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    if legend:
        figure.legend(loc="outside lower left", title=others, alignment="left", title_fontsize=8.5)
    title = "Training loss by epoch"
    return Drawing(title, _caption(curves, len(shown)), f"{title}: {_ends(shown)}.", figure)


def _caption(curves: Sequence[Curve], shown: int) -> str:
    several = any(len(curve.losses) > 1 for curve in curves)
    how = "The thick lines are geometric means over the seeds, the thin ones the single runs." if several else ""
    left_out = f"Of {len(curves)} combinations the first {shown} are drawn." if len(curves) > shown else ""
    return " ".join(filter(None, (how, left_out, f"At the end: {_ends(curves[:shown])}.")))


def _ends(curves: Sequence[Curve]) -> str:
    """Where each curve ends, the mean of the single runs' ends."""
    told = []
    for curve in curves:
        ends = [losses[-1] for losses in curve.losses]
        epochs = sorted({len(losses) for losses in curve.losses})
        after = f"{epochs[0]} epochs" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"
        told.append(f"{curve.label + ': ' if curve.label else ''}{_geometric_mean(ends):.3g} after {after}")
    return "; ".join(told)


def _geometric_mean(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return sum(values) / len(values)
    return math.exp(sum(map(math.log, values)) / len(values))
