"""Where test examples lie in an autoencoder's code."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

MOST_POINTS = 5000  # with more, colours only cover each other
MOST_NAMED = 30  # classes


class Codes(Picture):
    """Test examples as points: a code of two units as it is, of a larger one its first two principal directions."""

    kind: Literal["codes"] = "codes"
    needs: ClassVar[str] = "an unrolled network whose code has at least two units"
    section: ClassVar[Section] = "activations"

    def applies(self, subject: Subject) -> bool:
        return subject.code is not None and subject.predictions.shape[1] >= 2 and len(subject.predictions) > 2

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        points, share = _in_the_plane(subject.predictions[:MOST_POINTS])
        figure = new_figure(WIDTH)
        axes = figure.add_subplot()
        names = subject.label_names
        _draw_points(axes, points, subject.truth[: len(points)] if names else None, names)
        units = subject.predictions.shape[1]
        if share is None:
            axes.set_xlabel("first unit of the code")
            axes.set_ylabel("second unit of the code")
            shown = "by the two units of its code"
        else:
            axes.set_xlabel("first principal direction of the code")
            axes.set_ylabel("second principal direction of the code")
            shown = (
                f"by the two directions in which the codes of {units} numbers vary most: {share:.0%} of their variance"
            )
        named = " Colours and names tell the classes, which training did not know." if names else ""
        return Drawing(
            title="Codes",
            caption=f"Each point is one of {len(points):,} test examples, placed {shown}.{named} Examples that lie "
            "together have like codes, so they are given back alike; classes that form islands could be told apart by "
            "the code alone.",
            alt=f"A scatter of {len(points):,} test examples in two directions of the code"
            + (f", coloured by {len(names)} classes." if names else "."),
            figure=figure,
        )


def _in_the_plane(codes: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Points, (n, 2), and the share of variance that they show; None where codes have two numbers anyway."""
    import numpy as np

    if codes.shape[1] == 2:
        return codes, None
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, :-3:-1]
    largest = directions[np.abs(directions).argmax(axis=0), [0, 1]]
    directions = directions * np.sign(largest)  # which way a direction points is nobody's choice
    total = variances.sum()
    return centred @ directions, float(variances[-2:].sum() / total) if total > 0 else 0.0


def _draw_points(axes: Axes, points: np.ndarray, labels: np.ndarray | None, names: list[str]) -> None:
    import numpy as np
    from matplotlib.patheffects import withStroke

    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.style import BLUE, INK, MUTED, SERIES

    colours = (*SERIES, "#7a0a21", "#b59f00", INK, MUTED)
    size, alpha = (12, 0.7) if len(points) <= 1000 else (4, 0.5)
    colour = BLUE if labels is None else [colours[label % len(colours)] for label in labels]
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colour, alpha=alpha, linewidths=0)
    if labels is not None and len(names) <= MOST_NAMED:
        for label, name in enumerate(names):
            if (labels == label).any():
                middle = np.median(points[labels == label], axis=0)
                text = axes.text(
                    middle[0], middle[1], shortened(name, 12), color=INK, ha="center", va="center", fontweight="bold"
                )
                text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
