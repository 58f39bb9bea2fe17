"""Some test images with what the network says of them, and those it is most confidently wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 5
IMAGE, ROW, TITLE = 0.76, 1.22, 0.36  # inches: an image, a row with its words, a title


class Examples(Picture):
    """The first test images, then the mistakes made with the highest probability."""

    kind: Literal["examples"] = "examples"
    needs: ClassVar[str] = "images of one or three channels, and classes"
    section: ClassVar[Section] = "results"
    count: int = Field(10, ge=1, le=50, description="How many to show of each sort at most.")

    def applies(self, subject: Subject) -> bool:
        return subject.image_shape is not None and bool(subject.class_names) and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        said = subject.predictions.argmax(axis=1)
        confidence = subject.predictions.max(axis=1)
        wrong = np.flatnonzero(said != subject.truth)
        worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: self.count]
        first = np.arange(min(self.count, len(said)))
        groups = [("First test examples", first), ("Most confidently wrong", worst)]
        figure = _draw_groups(subject, [(title, indices) for title, indices in groups if len(indices)])
        return Drawing(
            title="Examples",
            caption="Above, the first test examples; below, those the network is wrong about with the highest "
            f"{subject.score}: often hard for people too, sometimes labelled wrong. Under each image stands the class "
            f"that the network says and its {subject.score}; where that is wrong, the true class and the "
            f"{subject.score} of it follow in red. {_seen(subject, worst)}",
            alt=f"{len(first)} test images with predicted classes, then {len(worst)} wrongly predicted ones.",
            figure=figure,
        )


def _draw_groups(subject: Subject, groups: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Rows of images under titles, in places measured in inches: automatic layout crowds the words."""
    from nnpipe.plots.style import INK, WIDTH, bare, new_figure

    height = sum(TITLE + ROW * ceil(len(indices) / COLUMNS) for _, indices in groups)
    figure = new_figure(height, layout=None)
    cell, top = WIDTH / COLUMNS, 0.0
    for title, indices in groups:
        figure.text(0.12 / WIDTH, 1 - (top + 0.1) / height, title, va="top", fontsize=9.5, color=INK)
        top += TITLE
        for place, index in enumerate(indices):
            left = (place % COLUMNS + 0.5) * cell - IMAGE / 2
            bottom = height - top - ROW * (place // COLUMNS) - IMAGE
            axes = figure.add_axes((left / WIDTH, bottom / height, IMAGE / WIDTH, IMAGE / height))
            bare(axes)
            _draw_image(axes, subject, int(index))
        top += ROW * ceil(len(indices) / COLUMNS)
    return figure


def _draw_image(axes: Axes, subject: Subject, index: int) -> None:
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.images import draw_test_image
    from nnpipe.plots.style import INK, VERMILLION

    draw_test_image(axes, subject, index)
    said, true = int(subject.predictions[index].argmax()), int(subject.truth[index])
    names = [shortened(name, 9) for name in subject.class_names]
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    prediction = f"{names[said]}  {subject.predictions[index, said]:.2f}"
    axes.annotate(prediction, (0.5, 0), (0, -4), fontsize=8.5, color=INK, **place)
    if said != true:
        mistake = f"is {names[true]}  {subject.predictions[index, true]:.2f}"
        axes.annotate(mistake, (0.5, 0), (0, -15), fontsize=8.5, color=VERMILLION, fontweight="bold", **place)


def _seen(subject: Subject, worst: np.ndarray) -> str:
    """How many are wrong, and which of them the network is surest of; ``worst``: those, the surest first."""
    said, names = subject.predictions.argmax(axis=1), subject.class_names
    wrong = said != subject.truth
    told = f"Of {len(said):,} test examples looked through, {int(wrong.sum()):,} are predicted wrong"
    if subject.score == "probability":
        confident = int((wrong & (subject.predictions.max(axis=1) > 0.9)).sum())
        told += f", {confident or 'none'} of them with a probability above 0.9"
    if not len(worst):
        return f"{told}."
    first = int(worst[0])
    return (
        f"{told}; the surest of them is test example {first:,} (counted from 0), {names[subject.truth[first]]} taken "
        f"for {names[said[first]]}."
    )
