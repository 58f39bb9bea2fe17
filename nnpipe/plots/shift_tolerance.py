"""Feature maps before and after each pool, of an image and of the same image moved by a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

POOLS = ("max_pool2d", "avg_pool2d")
MOST_POOLS = 3
MAPS = 3  # of each layer: with the same of the moved image and the difference they fill a row
MOST_EXAMPLES = 200
EDGE, BETWEEN, GAP, TITLE = 0.06, 0.14, 0.04, 0.24  # inches: at the sides, between groups, between maps, over a row


class Row(NamedTuple):
    """Maps, (maps, height, width) or an image (height, width, 3), unmoved and moved, under a title."""

    title: str
    unmoved: np.ndarray
    moved: np.ndarray


class ShiftTolerance(Picture):
    """One test image, the maps that fire most for it, and what a pool makes of them, before and after a move."""

    kind: Literal["shift_tolerance"] = "shift_tolerance"
    needs: ClassVar[str] = "images of one or three channels, and a max_pool2d or avg_pool2d layer"
    section: ClassVar[Section] = "activations"
    shift: int = Field(1, ge=1, le=5, description="Pixels that the image is moved to the right.")
    example: int = Field(0, ge=0, description="Which of the test images to show; of fewer, the last.")

    def applies(self, subject: Subject) -> bool:
        shape = subject.image_shape
        large = shape is not None and shape[2] > self.shift
        return large and len(subject.inputs) > 1 and bool(_pools(subject))

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots import shifting
        from nnpipe.plots.effort import affordable

        pools = _pools(subject)
        network, shown = subject.network, min(self.example, len(subject.inputs) - 1)
        places = affordable(subject, 2, MOST_EXAMPLES)
        images = subject.inputs[[shown, *places]]
        moved = shifting.shifted(images, 0, self.shift, shifting.background(images))
        before, after = shifting.activations(network, images), shifting.activations(network, moved)
        rows = [Row("The image", _image(images[0]), _image(moved[0]))]
        told = []
        for pool in pools:
            strongest = np.argsort(-before[pool][0].sum(dim=(1, 2)).numpy(), kind="stable")[:MAPS].copy()
            alike = [shifting.similarity(before[layer][1:], after[layer][1:]) for layer in (pool - 1, pool)]
            kind = network.architecture.layers[pool - 1].kind
            for layer, when, value in zip((pool - 1, pool), ("Before", "After"), alike, strict=True):
                size = words.shape(before[layer].shape[2:])
                title = f"{when} layer {pool}, {kind}: {size}, similarity {value:.2f}"
                rows.append(Row(title, before[layer][0, strongest].numpy(), after[layer][0, strongest].numpy()))
            told.append(f"from {alike[0]:.2f} before to {alike[1]:.2f} after layer {pool}")
        pixels = f"{self.shift} pixel{'s' * (self.shift > 1)}"
        seen = f"Over {len(places)} test images the similarity changes {words.joined(told)}."
        return Drawing(
            title="Tolerance of shifts",
            caption=f"A test image, and the maps that fire most for it before and after {_counted(len(pools))}: of the "
            f"image as it is, of the same image {pixels} to the right, and the difference between the two (red: more "
            "after the move, blue: less). Dark is active; what is lighter in the difference after a pool is the part "
            "of the move that the pool takes away. Similarity: the cosine between activations unmoved and moved, each "
            f"unit's mean taken away; 1 is the same. {seen}",
            alt=f"Feature maps of an image and of the image moved by {pixels}, in {len(rows)} rows. {seen}",
            figure=_draw_rows(rows, pixels),
        )


def _counted(pools: int) -> str:
    return "the pool" if pools == 1 else f"each of {pools} pools"


def _pools(subject: Subject) -> list[int]:
    """The places of pools among the layers, from 1, that leave maps of more than one place."""
    shapes = subject.network.architecture.shapes(subject.network.input_shape)
    layers = zip(subject.network.architecture.layers, shapes, strict=True)
    return [
        place for place, (layer, shape) in enumerate(layers, start=1) if layer.kind in POOLS and shape[1] * shape[2] > 1
    ][:MOST_POOLS]


def _image(image: np.ndarray) -> np.ndarray:
    """As a row of one map, or as colours from 0 to 1."""
    if len(image) == 1:
        return image.astype(float)
    low, high = float(image.min()), float(image.max())
    colours: np.ndarray = (image.transpose(1, 2, 0).astype(float) - low) / ((high - low) or 1)
    return colours[None]


def _draw_rows(rows: Sequence[Row], pixels: str) -> Figure:
    from nnpipe.plots.style import INK, MUTED, WIDTH, new_figure

    group = (WIDTH - 2 * EDGE - 2 * BETWEEN) / 3
    tile = (group - (MAPS - 1) * GAP) / MAPS
    height = TITLE + len(rows) * (TITLE + tile + 2 * GAP)
    figure = new_figure(height, layout=None)
    lefts = [EDGE + number * (group + BETWEEN) for number in range(3)]
    for left, name in zip(lefts, ("as it is", f"{pixels} to the right", "difference"), strict=True):
        figure.text(left / WIDTH, 1 - 0.06 / height, name, va="top", fontsize=9, color=MUTED)
    for number, row in enumerate(rows):
        top = height - TITLE - number * (TITLE + tile + 2 * GAP)
        figure.text(EDGE / WIDTH, (top - 0.04) / height, row.title, va="top", fontsize=9, color=INK)
        for left, maps, limits, colours in zip(lefts, *_groups(row), strict=True):
            for place, (values, (low, high)) in enumerate(zip(maps, limits, strict=True)):
                at = left + place * (tile + GAP)
                box = (at / WIDTH, (top - TITLE - tile) / height, tile / WIDTH, tile / height)
                _draw_map(figure, box, values, low, high, colours)
    return figure


def _groups(row: Row) -> tuple[list[np.ndarray], list[list[tuple[float, float]]], list[str]]:
    """The three groups of maps of a row, the values where each map's colours end, and which colours.

    A map has the same colours before and after the move, and its difference the same strength.
    """
    import numpy as np

    if row.unmoved.ndim == 4:  # colours are looked at as they are, and their difference in grey
        change = (row.moved - row.unmoved).mean(axis=3)
        return [row.unmoved, row.moved, change], [[(0, 1)], [(0, 1)], [(-1, 1)]], ["gray_r", "gray_r", "signed"]
    both = np.concatenate([row.unmoved, row.moved], axis=1)
    ends = [(min(float(each.min()), 0.0), float(each.max()) or 1.0) for each in both]
    ends = [(low, high if high > low else low + 1) for low, high in ends]
    spans = [(low - high, high - low) for low, high in ends]
    return [row.unmoved, row.moved, row.moved - row.unmoved], [ends, ends, spans], ["gray_r", "gray_r", "signed"]


def _draw_map(
    figure: Figure, box: tuple[float, float, float, float], values: np.ndarray, low: float, high: float, colours: str
) -> None:
    from nnpipe.plots.style import FAINT, SIGNED

    axes = figure.add_axes(box)
    cmap = SIGNED if colours == "signed" else colours
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT)
