"""Whether the network is right as often as it says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 10  # examples in a bin: their share says little

Rows = Sequence[Mapping[str, Any]]


class ReliabilityDiagram(Picture):
    """Accuracy against the probability of the predicted class, bin by bin, over how many examples each bin holds."""

    kind: Literal["reliability_diagram"] = "reliability_diagram"
    needs: ClassVar[str] = "a calibration table among what was measured on the test examples"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        return bool(subject.evaluation.get("calibration"))

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        bins: Rows = subject.evaluation["calibration"]
        rows: Rows = [row for row in bins if row["examples"]]
        figure = new_figure(4.9)
        upper, lower = figure.subplots(2, height_ratios=[3.2, 1], sharex=True)
        _draw_accuracy(upper, rows)
        _draw_counts(lower, rows)
        figure.legend(*upper.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        seen = _seen(rows, subject.evaluation["test_calibration_error"])
        return Drawing(
            title="Reliability diagram",
            caption="Test examples in bins by the probability of the class that the network says. Above, each dot "
            "shows how often the class is right in a bin: on the dashed line as often as the probability promises, "
            "below it less often (the network is too sure), above it more often; a dot is pale where fewer than "
            f"{FEW} examples tell little. Below, how many examples lie in each bin. {seen}",
            alt=f"Accuracy against probability in {len(rows)} of {len(bins)} bins. {seen}",
            figure=figure,
            plot=True,
        )


def _draw_accuracy(axes: Axes, rows: Rows) -> None:
    from nnpipe.plots.style import BLUE, MUTED, VERMILLION, tell

    axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1, label="promised")
    for strength, wanted, label in ((1.0, False, "found"), (0.3, True, f"found, fewer than {FEW} examples")):
        chosen = [row for row in rows if (row["examples"] < FEW) == wanted]
        said, right = ([row[key] for row in chosen] for key in ("confidence", "accuracy"))
        axes.vlines(said, said, right, color=VERMILLION, linewidth=1.4, alpha=0.7 * strength)
        if chosen:
            axes.scatter(said, right, s=26, color=BLUE, alpha=strength, clip_on=False, label=label, zorder=3)
    told = [
        f"promised {row['confidence']:.1%}, right in {row['accuracy']:.1%} of {_examples(row)} with a probability "
        f"from {row['low']:.2f} to {row['high']:.2f}"
        for row in rows
    ]
    tell(axes, [row["confidence"] for row in rows], [row["accuracy"] for row in rows], told)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share predicted right")


def _draw_counts(axes: Axes, rows: Rows) -> None:
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import INK, SKY

    width = rows[0]["high"] - rows[0]["low"]
    middles, counts = ([(row["low"] + row["high"]) / 2 for row in rows], [row["examples"] for row in rows])
    axes.bar(middles, counts, 0.9 * width, color=SKY)
    for middle, count in zip(middles, counts, strict=True):
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
        axes.annotate(f"{count}", (middle, count), (0, 1), fontsize=7.5, color=INK, **place)
    axes.set_ylim(0, 1.25 * max(counts))  # room for the number of the highest
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    axes.set_ylabel("examples")
    axes.set_xlabel("probability of the predicted class")


def _examples(row: Mapping[str, Any]) -> str:
    return f"{row['examples']:,} example{'s' if row['examples'] > 1 else ''}"


def _seen(rows: Rows, error: float) -> str:
    total = sum(row["examples"] for row in rows)
    said, right = (sum(row["examples"] * row[key] for row in rows) / total for key in ("confidence", "accuracy"))
    tendency = "too sure" if said > right else "not sure enough"
    return (
        f"On average the network promises {said:.1%} and is right in {right:.1%}: on the whole it is {tendency}. "
        f"Probability and accuracy lie {error:.2g} apart, averaged over examples (expected calibration error)."
    )
