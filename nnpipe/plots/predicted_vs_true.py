"""Predicted numbers against the true ones."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

MOST_TARGETS = 6  # with more, panels would be too small to read


class PredictedVsTrue(Picture):
    """Every test example as a point, one panel a target."""

    kind: Literal["predicted_vs_true"] = "predicted_vs_true"
    needs: ClassVar[str] = "numbers to learn"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        return bool(subject.target_names) and len(subject.truth) > 0

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        names = subject.target_names[:MOST_TARGETS]
        columns = 1 if len(names) == 1 else 2
        rows = ceil(len(names) / columns)
        figure = new_figure(WIDTH * 0.92 if columns == 1 else 2.5 * rows)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for index, (axes, name) in enumerate(zip(panels, names, strict=False)):
            _draw_panel(axes, subject.truth[:, index], subject.predictions[:, index], name if columns > 1 else None)
        for axes in panels[len(names) :]:
            axes.set_axis_off()
        left_out = len(subject.target_names) - len(names)
        more = f" The first {len(names)} of {len(subject.target_names)} targets are shown." if left_out else ""
        seen = _seen(subject)
        return Drawing(
            title="Predicted and true values",
            caption="Each point is a test example: across, its true value; upwards, what the network predicts. On the "
            "dashed line both are the same; points above it are predicted too high, below it too low. A cloud that is "
            f"flatter than the line means that high values are underestimated and low ones overestimated.{more} {seen}",
            alt=f"Predicted against true values of {', '.join(names)}. {seen}",
            figure=figure,
        )


def _draw_panel(axes: Axes, truth: np.ndarray, predicted: np.ndarray, name: str | None) -> None:
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.style import BLUE, MUTED

    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    around = 0.04 * (high - low) or 1.0
    ends = (low - around, high + around)
    axes.plot(ends, ends, "--", color=MUTED, linewidth=1)
    size, alpha = (14, 0.6) if len(truth) <= 500 else (6, 0.35)
    axes.scatter(truth, predicted, s=size, color=BLUE, alpha=alpha, linewidths=0)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_box_aspect(1)
    axes.set_xlabel("true value")
    axes.set_ylabel("predicted value")
    if name is not None:
        axes.set_title(shortened(name, 24))


def _seen(subject: Subject) -> str:
    rows = subject.evaluation["per_target"]
    explained = [row for row in rows if "r2" in row]
    told = [f"{row['r2']:.1%} of the variance of {row['name']}" for row in explained[:3]]
    error = subject.evaluation["test_mean_absolute_error"]
    typical = f"predictions are {error:.3g} off on average"
    if not told:
        return f"{typical.capitalize()}."
    return f"The network explains {', '.join(told)}; {typical}."
