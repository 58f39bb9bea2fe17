"""The confusion matrix with the examples behind it: what is taken for what, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 12  # with more, images would be too small to recognise
MOST_SHOWN = 9
LEAST_IMAGE = 0.4  # inches, where the spec does not say how many images a cell has
NAMES, HEAD = 0.5, 0.15  # inches beside the cells for names, and in a cell above its images for the count
RIGHT, WRONG = "#e9f2f8", "#fdefe3"  # the palette's blue and orange, so pale that letters and ink stand out

# (true, predicted) -> the examples, from 0, the highest score first.
Cells = Mapping[tuple[int, int], Sequence[int]]


class ConfusionExamples(Picture):
    """A cell a true and a predicted class: its count, and the test images in it with the highest score."""

    kind: Literal["confusion_examples"] = "confusion_examples"
    needs: ClassVar[str] = f"images of one or three channels, and 2 to {MOST_CLASSES} classes"
    section: ClassVar[Section] = "results"
    examples: int | None = Field(
        None,
        ge=1,
        le=MOST_SHOWN,
        description="How many images to show in a cell at most; left out: as many as are large enough to recognise.",
    )

    def applies(self, subject: Subject) -> bool:
        few = 2 <= len(subject.class_names) <= MOST_CLASSES
        return few and subject.image_shape is not None and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        names, cells = subject.class_names, _cells(subject)
        cell = (WIDTH - NAMES) / len(names)
        shown = self.examples or min(MOST_SHOWN, max(1, int(cell / LEAST_IMAGE)) ** 2)
        figure = new_figure(NAMES + len(names) * (cell + HEAD))
        axes = figure.add_subplot()
        for (true, said), indices in cells.items():
            _draw_cell(axes, subject, (true, said), indices[:shown], HEAD / cell)
            _count(axes, (true, said), len(indices), HEAD / cell)
        _finish(axes, names, HEAD / cell)
        seen = _seen(subject, cells)
        which = "image" if shown == 1 else f"at most {shown} images"
        return Drawing(
            title="Confusion matrix with examples",
            caption="Each row holds the test examples of one true class, each column those predicted as one class. A "
            f"number counts the examples of its cell; below it the {which} with the highest {subject.score} of the "
            f"predicted class. Right predictions are on blue, mistakes on orange. {seen}",
            alt=f"Confusion matrix of {len(names)} classes with test images in its cells. {seen}",
            figure=figure,
        )


def _cells(subject: Subject) -> Cells:
    import numpy as np

    said, score = subject.predictions.argmax(axis=1), subject.predictions.max(axis=1)
    cells: dict[tuple[int, int], list[int]] = {}
    for index in np.argsort(-score, kind="stable").tolist():
        cells.setdefault((int(subject.truth[index]), int(said[index])), []).append(index)
    return cells


def _draw_cell(axes: Axes, subject: Subject, cell: tuple[int, int], indices: Sequence[int], head: float) -> None:
    """Images in rows, as large as the cell of width 1 and height 1 + ``head`` lets them be."""
    from matplotlib.patches import Rectangle

    from nnpipe.plots.images import draw_test_image

    row, column = cell
    left, top = float(column), row * (1 + head)
    colour = RIGHT if row == column else WRONG
    axes.add_patch(Rectangle((left, top), 1, 1 + head, facecolor=colour, edgecolor="white", linewidth=1.5, zorder=-1))
    side, gap = ceil(sqrt(len(indices))), 0.06
    place = (1 - gap) / side
    _, height, width = subject.inputs.shape[1:]
    size = (place - gap) / max(height, width)
    for number, index in enumerate(indices):
        across = left + gap + place * (number % side) + (place - gap - size * width) / 2
        down = top + head + place * (number // side)
        draw_test_image(axes, subject, index, (across, across + size * width, down + size * height, down))


def _count(axes: Axes, cell: tuple[int, int], count: int, head: float) -> None:
    from nnpipe.plots.style import INK, VERMILLION

    row, column = cell
    colour, weight = (INK, "normal") if row == column else (VERMILLION, "bold")
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7.5, "color": colour, "fontweight": weight}
    axes.text(column + 0.5, row * (1 + head) + head * 0.55, str(count), **look)


def _finish(axes: Axes, names: Sequence[str], head: float) -> None:
    """Names along the sides; no grid, as the cells are one."""
    from nnpipe.plots.confusion_matrix import shortened

    axes.set(xlim=(0, len(names)), ylim=(len(names) * (1 + head), 0), aspect="equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    short = [shortened(name, 12) for name in names]
    slanted = sum(map(len, short)) > 40  # letters that fit side by side
    middle = [number + 0.5 for number in range(len(names))]
    axes.set_xticks(middle, short, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks([place * (1 + head) for place in middle], short)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _seen(subject: Subject, cells: Cells) -> str:
    names, total = subject.class_names, len(subject.truth)
    wrong = {cell: indices for cell, indices in cells.items() if cell[0] != cell[1]}
    mistakes = sum(map(len, wrong.values()))
    if not mistakes:
        return f"None of {total:,} test examples is taken for another class."
    possible = len(names) * (len(names) - 1)
    (true, said), indices = max(wrong.items(), key=lambda entry: (len(entry[1]), -entry[0][0], -entry[0][1]))
    return (
        f"{mistakes:,} of {total:,} test examples are taken for another class, in {len(wrong)} of {possible} possible "
        f"ways; the commonest is {names[true]} taken for {names[said]} ({len(indices):,})."
    )
