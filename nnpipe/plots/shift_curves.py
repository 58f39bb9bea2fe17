"""How well the network tells classes, and how much each layer stays what it was, when images are moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FARTHEST = 5  # pixels
MOST_LINES = 8
MOST_EXAMPLES = 500


class Measured(NamedTuple):
    """By pixels moved, from 0, over the four directions: accuracy, and each layer's similarity.

    similarity: from the place of the layer, 0 for the input, to a number for each shift.
    """

    accuracy: Sequence[float]
    similarity: Mapping[int, Sequence[float]]
    examples: int


class ShiftCurves(Picture):
    """Accuracy, and the similarity of activations, against the number of pixels that images are moved by."""

    kind: Literal["shift_curves"] = "shift_curves"
    needs: ClassVar[str] = "images of at least 4 by 4 pixels, and classes"
    section: ClassVar[Section] = "activations"
    shift: int | None = Field(
        None, ge=1, le=32, description="Pixels to move at most; left out: 5, of small images a quarter of their side."
    )

    def applies(self, subject: Subject) -> bool:
        shape = subject.attributes["input_shape"]
        images = len(shape) == 3 and min(shape[1:]) >= 4
        return images and len(subject.class_names) > 1 and len(subject.inputs) > 1

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        farthest = farthest_shift(subject, self.shift)
        measured = _measure(subject, farthest)
        names = _names(subject)
        figure = new_figure(5.4)
        above, below = figure.subplots(2, sharex=True, height_ratios=(2, 3))
        _draw_accuracy(above, measured.accuracy)
        _draw_similarity(below, measured.similarity, names)
        seen = f"{_accuracy_seen(measured)} {_similarity_seen(measured, names)}".strip()
        return Drawing(
            title="Moved images",
            caption="Test images moved up, down, left and right, filled up with the background; means of the four, "
            f"over {measured.examples:,} images, none of them learnt from. Above, how many the network "
            "still tells right. Below, for each layer, the similarity of its activations to those of the same image "
            "unmoved: the cosine of the angle between the two, each unit's mean taken away, so that 1 is the same and "
            f"0 another image.{_about_pools(measured, names)} {seen}",
            alt=f"Accuracy, and similarity layer by layer, against a shift of 0 to {farthest} pixels. {seen}",
            figure=figure,
            plot=True,
        )


def farthest_shift(subject: Subject, asked: int | None) -> int:
    """How many pixels to move images by at most: so many that something of them stays in view."""
    side: int = min(subject.attributes["input_shape"][1:])
    return min(FARTHEST, side // 4) if asked is None else min(asked, side - 1)


def _measure(subject: Subject, farthest: int) -> Measured:
    import torch

    from nnpipe.plots import shifting
    from nnpipe.plots.effort import affordable

    network = subject.network
    places = affordable(subject, 1 + len(shifting.DIRECTIONS) * farthest, MOST_EXAMPLES)
    images, truth = subject.inputs[places], torch.from_numpy(subject.truth[places])
    behind = shifting.background(images)
    kinds = [layer.kind for layer in network.architecture.layers]
    layers = shifting.told_apart(kinds, MOST_LINES)
    unmoved = shifting.activations(network, images)

    def right(outputs: torch.Tensor) -> float:
        said = outputs[:, 0] > _undecided(subject) if outputs.shape[1] == 1 else outputs.argmax(1)
        return float((said.long() == truth).double().mean())

    accuracy, similarity = [right(unmoved[-1])], {layer: [1.0] for layer in layers}
    for pixels in range(1, farthest + 1):
        rights, alike = [], dict.fromkeys(layers, 0.0)
        for rows, columns in shifting.DIRECTIONS:
            moved = shifting.shifted(images, pixels * rows, pixels * columns, behind)
            found = shifting.activations(network, moved)
            rights.append(right(found[-1]))
            for layer in layers:
                alike[layer] += shifting.similarity(unmoved[layer], found[layer]) / len(shifting.DIRECTIONS)
        accuracy.append(sum(rights) / len(rights))
        for layer in layers:
            similarity[layer].append(alike[layer])
    return Measured(accuracy, similarity, len(places))


def _undecided(subject: Subject) -> float:
    """Of one output, the value above which it says the second class."""
    return 0.0 if subject.network.architecture.last_activation == "linear" else 0.5


def _names(subject: Subject) -> list[str]:
    """Of the input and of each layer."""
    layers = subject.network.architecture.layers
    return ["input", *(f"{number} {layer.kind}" for number, layer in enumerate(layers, start=1))]


def _draw_accuracy(axes: Axes, accuracy: Sequence[float]) -> None:
    from matplotlib.ticker import PercentFormatter

    from nnpipe.plots.style import BLUE, tell

    axes.plot(range(len(accuracy)), accuracy, "o-", color=BLUE, markersize=4)
    words = (f"moved by {pixels}: {value:.1%} right" for pixels, value in enumerate(accuracy))
    tell(axes, range(len(accuracy)), accuracy, words)
    axes.set_title("Accuracy")
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _draw_similarity(axes: Axes, similarity: Mapping[int, Sequence[float]], names: Sequence[str]) -> None:
    import matplotlib as mpl
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import tell

    colours = mpl.colormaps["viridis"]
    for number, (layer, values) in enumerate(similarity.items()):
        pool = "pool" in names[layer]
        colour = colours(0.9 * number / max(len(similarity) - 1, 1))
        axes.plot(range(len(values)), values, "s--" if pool else "o-", color=colour, markersize=3.5, label=names[layer])
        words = (f"{names[layer]}, moved by {pixels}: {value:.3f}" for pixels, value in enumerate(values))
        tell(axes, range(len(values)), values, words)
    axes.set_title("Similarity of activations")
    axes.set_xlabel("pixels moved")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.08)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1.05), handlelength=1.8, title="layer", title_fontsize=8.5)


def _about_pools(measured: Measured, names: Sequence[str]) -> str:
    pools = any("pool" in names[layer] for layer in measured.similarity)
    return " Dashed lines are pools: one above the line of the layer before it takes part of the move away." * pools


def _accuracy_seen(measured: Measured) -> str:
    parts = [f"{value:.1%} at {pixels}" for pixels, value in enumerate(measured.accuracy) if pixels]
    return f"Right are {measured.accuracy[0]:.1%} unmoved, {', '.join(parts)} pixels."


def _similarity_seen(measured: Measured, names: Sequence[str]) -> str:
    """What every pool changes of the similarity at one pixel; without pools, what is left of it at the output."""
    alike = measured.similarity
    order = list(alike)
    pools = [(before, after) for before, after in pairwise(order) if "pool" in names[after]]
    if not pools:
        output = alike[order[-1]][1]
        return f"At one pixel the similarity is {alike[0][1]:.2f} of the input and {output:.2f} of the output."
    told = [f"{alike[before][1]:.2f} before and {alike[after][1]:.2f} after {names[after]}" for before, after in pools]
    return f"At one pixel the similarity is {alike[0][1]:.2f} of the input, {', '.join(told)}."
