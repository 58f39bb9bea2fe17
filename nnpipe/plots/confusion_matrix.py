"""Which classes are taken for which, counted on the test examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

MOST_COUNTED = 20  # classes; with more, numbers in the cells would be too small to read
MOST_TOLD = 300  # cells, the fullest


class ConfusionMatrix(Picture):
    """Test examples by true and predicted class: counts as numbers, shares of the true class as colours."""

    kind: Literal["confusion_matrix"] = "confusion_matrix"
    needs: ClassVar[str] = "a confusion matrix among what was measured on the test examples"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        return bool(subject.evaluation.get("confusion_matrix"))

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots.style import WIDTH, new_figure

        counts = np.asarray(subject.evaluation["confusion_matrix"])
        names = subject.class_names
        figure = new_figure(WIDTH)
        _draw_matrix(figure.add_subplot(), counts, names)
        right, total = int(np.trace(counts)), int(counts.sum())
        seen = (
            f"{right:,} of {total:,} test examples ({right / max(total, 1):.1%}) are on the diagonal, predicted right."
        )
        return Drawing(
            title="Confusion matrix",
            caption="Each row holds the test examples of one true class, each column those predicted as one class: "
            "numbers count examples, the colour is the share of the row, from white (none) to dark blue (all). "
            f"{seen} {_mistakes(counts, names)}",
            alt=f"Confusion matrix of {len(names)} classes. {seen}",
            figure=figure,
            plot=len(names) <= MOST_COUNTED,
        )


def _draw_matrix(axes: Axes, counts: np.ndarray, names: list[str]) -> None:
    import numpy as np

    from nnpipe.plots.style import SEQUENTIAL

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edges = np.arange(len(names) + 1) - 0.5
    axes.pcolormesh(edges, edges, np.ma.masked_equal(shares, 0), cmap=SEQUENTIAL, vmin=0, vmax=1)
    axes.set(aspect="equal", xlim=edges[[0, -1]], ylim=edges[[-1, 0]])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    if len(names) <= MOST_COUNTED:
        _draw_counts(axes, counts, shares, names)
    step = 1 + (len(names) - 1) // MOST_COUNTED
    places, short = range(0, len(names), step), [shortened(name, 12) for name in names[::step]]
    slanted = sum(map(len, short)) > 40  # letters that fit side by side
    axes.set_xticks(places, short, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(places, short)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _draw_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, names: list[str]) -> None:
    """A number in each cell that holds any examples; it is told too, of the fullest if there are very many."""
    import numpy as np

    from nnpipe.plots.style import INK, tell

    fullest = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    rows, columns = np.unravel_index(fullest, counts.shape)
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": min(9.0, 80 / len(names))}
    for row, column in zip(rows, columns, strict=True):
        colour = "white" if shares[row, column] > 0.45 else INK
        axes.text(column, row, str(counts[row, column]), color=colour, zorder=1.5, **look)  # below what is told
    told = [*zip(rows, columns, strict=True)][:MOST_TOLD]
    tell(axes, columns[:MOST_TOLD], rows[:MOST_TOLD], [_words(counts, names, *cell) for cell in told])


def _words(counts: np.ndarray, names: list[str], true: int, said: int) -> str:
    """What a cell holds: as ``said 3, is 5: 4 examples, 10.0% of 5``."""
    count = counts[true, said]
    examples = f"{count:,} example{'s' if count > 1 else ''}, {count / counts[true].sum():.1%} of {names[true]}"
    return f"said {names[said]}, is {'so' if true == said else names[true]}: {examples}"


def _mistakes(counts: np.ndarray, names: list[str]) -> str:
    """The commonest three confusions, in words."""
    import numpy as np

    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:3]
    pairs = [(int(place) // len(counts), int(place) % len(counts)) for place in order]
    told = [
        f"{names[true]} taken for {names[said]} ({wrong[true, said]:,})" for true, said in pairs if wrong[true, said]
    ]
    return f"The commonest mistakes: {', '.join(told)}." if told else "There is no mistake."


def shortened(name: str, length: int) -> str:
    """``name``, cut to ``length`` letters with a sign that it was."""
    return name if len(name) <= length else name[: length - 1] + "…"
