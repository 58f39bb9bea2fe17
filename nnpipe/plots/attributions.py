"""Which pixels made the network say what it says: of some test images that it is right and wrong about."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import units
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import Tensor

COLUMNS = ("image", "gradient", "integrated\ngradients", "occlusion")
HEAD, NAMES, GAP = 0.4, 0.86, 0.06  # inches: columns' names, an example's words, between images


class Attributions(Picture):
    """Gradient, integrated gradients and occlusion of the score of the predicted class, beside the image."""

    kind: Literal["attributions"] = "attributions"
    needs: ClassVar[str] = "images of one or three channels, and classes"
    section: ClassVar[Section] = "activations"
    count: int = Field(3, ge=1, le=6, description="How many right and how many wrong examples to show at most.")
    baseline: Literal["blank", "mean"] = Field(
        "blank", description="What images are compared with: nothing but the lowest value, or the mean test image."
    )
    steps: int = Field(32, ge=2, le=1000, description="Points of the integral of gradients.")
    window: int | None = Field(
        None, ge=1, description="Side of the square that covers a part, in pixels; left out: a seventh of the image."
    )

    def applies(self, subject: Subject) -> bool:
        return subject.image_shape is not None and bool(subject.class_names) and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        rows = _attributed(self, subject)
        wrong = sum(row.said != row.true for row in rows)
        window = self.side_of_window(subject)
        compared = "a blank image" if self.baseline == "blank" else "the mean test image"
        seen = _seen(rows, compared)
        return Drawing(
            title="What made the network say so",
            caption="Test images that the network is right about and, with the true class in red, those it is wrong "
            "about most confidently; beside each, what its pixels have to do with the score of the predicted class "
            "before the last nonlinearity. Red speaks for the class, blue against it, each square on its own scale. "
            "Gradient: what more of a pixel would add. Integrated gradients: which pixels make the difference from "
            f"{compared}. Occlusion: what is lost where a square of {window} by {window} pixels is covered with it. "
            f"Where the three agree, there is something to it. {seen}",
            alt=f"{len(rows)} images, {wrong} of them predicted wrong, each beside three maps of what its pixels "
            f"contribute. {seen}",
            figure=_draw_rows(subject, rows),
        )

    def side_of_window(self, subject: Subject) -> int:
        """In pixels."""
        assert subject.image_shape is not None
        side = min(subject.image_shape[1:])
        if self.window is not None:
            units.check_number(self.kind, "window", self.window, first=1, last=side)
        return self.window or min(side, max(2, round(side / 7)))


class Row(NamedTuple):
    """A test example: ``said`` and ``true``, its classes, and maps (height, width), one a method.

    sum: of the integrated gradients. difference: of the score from the baseline's, which the sum should be.
    """

    example: int
    said: int
    true: int
    maps: tuple[np.ndarray, ...]
    sum: float
    difference: float


def _chosen(subject: Subject, count: int) -> list[int]:
    """The first right example of each of the first classes, then the wrong ones with the highest scores."""
    import numpy as np

    said, confidence = subject.predictions.argmax(axis=1), subject.predictions.max(axis=1)
    right = said == subject.truth
    firsts = [np.flatnonzero(right & (said == label))[:1] for label in range(len(subject.class_names))]
    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [*map(int, np.concatenate(firsts)[:count]), *map(int, worst)]


def _attributed(options: Attributions, subject: Subject) -> list[Row]:
    import numpy as np
    import torch

    from nnpipe.plots.attribution import gradient, integrated_gradients, occlusion

    chosen = _chosen(subject, options.count)
    x = torch.cat(list(units.asked(subject, np.array(chosen))))
    baseline = _baseline(options, subject)
    said = torch.from_numpy(subject.predictions[chosen].argmax(axis=1))

    def scores(x: Tensor) -> Tensor:
        return units.class_scores(subject, x)

    found = (
        gradient(scores, x, said),
        integrated_gradients(scores, x, said, baseline, options.steps),
        occlusion(scores, x, said, baseline, options.side_of_window(subject)),
    )
    with torch.no_grad():
        apart = (scores(x) - scores(baseline[None]))[range(len(chosen)), said]
    return [
        Row(
            example,
            int(said[row]),
            int(subject.truth[example]),
            tuple(method[row] for method in found),
            float(found[1][row].sum()),
            float(apart[row]),
        )
        for row, example in enumerate(chosen)
    ]


def _baseline(options: Attributions, subject: Subject) -> Tensor:
    """What images are compared with, as the network reads them: (channels, height, width)."""
    import numpy as np
    import torch

    from nnpipe.plots.images import value_range

    low, _ = value_range(subject)
    blank = options.baseline == "blank"
    image = np.full(subject.inputs.shape[1:], low) if blank else subject.inputs.mean(axis=0)
    return torch.from_numpy(subject.network.scaling.apply(image))


def _seen(rows: list[Row], compared: str) -> str:
    """Whether the methods agree, and whether integrated gradients add up to what they should."""
    import numpy as np

    pairs = [(row.maps[1].ravel(), row.maps[2].ravel()) for row in rows]
    varied = [(one, other) for one, other in pairs if one.std() > 0 and other.std() > 0]
    told = ""
    if varied:
        agreement = np.mean([np.corrcoef(one, other)[0, 1] for one, other in varied])
        told = f"Integrated gradients and occlusion correlate by {agreement:.2f} on the average. "
    share = sum(abs(row.sum - row.difference) for row in rows) / (sum(abs(row.difference) for row in rows) or 1)
    within = f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"
    return f"{told}Integrated gradients add up to the score's difference from that of {compared} to within {within}."


def _draw_rows(subject: Subject, rows: list[Row]) -> Figure:
    """Rows of an example's words, its image and its maps, in places measured in inches."""
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.images import as_shares, draw_image, draw_signed
    from nnpipe.plots.style import INK, MUTED, VERMILLION, WIDTH, new_figure

    side = (WIDTH - NAMES) / len(COLUMNS) - GAP
    height = HEAD + (side + GAP) * len(rows)
    figure = new_figure(height, layout=None)
    lefts = [NAMES + (side + GAP) * column for column in range(len(COLUMNS))]
    for left, name in zip(lefts, COLUMNS, strict=True):
        figure.text((left + side / 2) / WIDTH, 1 - HEAD / 2 / height, name, ha="center", va="center", color=INK)
    images = as_shares(subject, subject.inputs[[row.example for row in rows]])
    for place, (row, image) in enumerate(zip(rows, images, strict=True)):
        top = HEAD + (side + GAP) * place
        cells = [
            figure.add_axes((left / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height)) for left in lefts
        ]
        draw_image(cells[0], image)
        for axes, values in zip(cells[1:], row.maps, strict=True):
            draw_signed(axes, values)
        said = f"{subject.predictions[row.example, row.said]:.3f}"
        lines = [(shortened(subject.class_names[row.said], 9), INK), (said, MUTED)]
        lines += [(f"is {shortened(subject.class_names[row.true], 7)}", VERMILLION)] * (row.said != row.true)
        for line, (text, colour) in enumerate(lines):
            low = 1 - (top + side / 2 + 0.16 * (line - (len(lines) - 1) / 2)) / height
            figure.text(GAP / WIDTH, low, text, va="center", color=colour)
    return figure
