"""Layers' activations above one another: each a title, and a grid of maps, cells for units or bars for classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from nnpipe.plots import style
from nnpipe.plots.confusion_matrix import shortened
from nnpipe.plots.images import as_shares, draw_image, in_data
from nnpipe.plots.mosaic import FRAME_GREY, assemble
from nnpipe.plots.picture import Subject

if TYPE_CHECKING:
    from nnpipe.plots.activations import Activation

MARGIN, TITLE, GAP = 0.08, 0.22, 0.09  # inches
INSIDE = style.WIDTH - 2 * MARGIN
IMAGE, BAR, NAMES = 0.95, 0.16, 1.0  # inches: an image's height, a bar's, the room for classes' names
LARGEST_MAP, MOST_COLUMNS = 0.56, 16  # inches a map, maps in a row
LARGEST_CELL = 0.2  # inches a unit
COLUMNS, MANY_COLUMNS, MANY, MOST_UNITS = 64, 100, 640, 2000  # units in a row; MANY of them get smaller cells
MOST_CLASSES = 10


class _Panel(NamedTuple):
    """A title and what stands below it, ``height`` by ``width`` inches, ``left`` inches from the left."""

    title: str
    draw: Callable[[Axes], object]
    height: float
    width: float = INSIDE
    left: float = MARGIN


def draw_panels(subject: Subject, example: int, layers: Sequence[Activation], maps: int) -> Figure:
    """Draw the input and what leaves ``layers``, of each at most so many ``maps``."""
    panels = [_image("input", as_shares(subject, subject.inputs[example]))]
    panels += [_layer(layer, maps) for layer in layers[:-1]]
    panels.append(_outputs(subject, layers[-1], maps))
    height = sum(TITLE + panel.height + GAP for panel in panels)
    figure = style.new_figure(height, layout=None)
    top = 0.0
    for panel in panels:
        figure.text(MARGIN / style.WIDTH, 1 - (top + 0.06) / height, panel.title, va="top", fontsize=8.5)
        top += TITLE + panel.height
        place = (panel.left / style.WIDTH, 1 - top / height, panel.width / style.WIDTH, panel.height / height)
        panel.draw(figure.add_axes(place))
        top += GAP
    return figure


def _image(title: str, shares: np.ndarray) -> _Panel:
    """``shares``: (channels, height, width), from 0 to 1."""
    width = IMAGE * shares.shape[2] / shares.shape[1]
    return _Panel(title, lambda axes: draw_image(axes, shares), IMAGE, width)


def _layer(layer: Activation, maps: int) -> _Panel:
    return _maps(layer, maps) if layer.values.ndim == 3 else _units(layer)


def _maps(layer: Activation, most: int) -> _Panel:
    shown = layer.values[:most]
    columns = ceil(len(shown) / ceil(len(shown) / MOST_COLUMNS))
    grid = assemble(shown.astype(float), columns, gap=0.0)
    width = min(INSIDE, columns * LARGEST_MAP)
    left_out = f", {len(shown)} of {len(layer.values)} maps" if len(shown) < len(layer.values) else ""
    colours, scale = _colours(layer.values)

    def draw(axes: Axes) -> None:
        style.bare(axes)
        axes.imshow(grid, interpolation="nearest", aspect="auto", **colours)

    return _Panel(f"{layer.name}{left_out}: {scale}", draw, width * grid.shape[0] / grid.shape[1], width)


def _units(layer: Activation) -> _Panel:
    shown = layer.values[:MOST_UNITS]
    columns = _columns(len(shown))
    rows = ceil(len(shown) / columns)
    cells = np.pad(shown.astype(float), (0, rows * columns - len(shown)), constant_values=np.nan)
    width = min(INSIDE, columns * LARGEST_CELL)
    left_out = f", the first {len(shown):,}" if len(shown) < len(layer.values) else ""
    colours, scale = _colours(layer.values)

    def draw(axes: Axes) -> None:
        style.bare(axes)
        axes.pcolormesh(cells.reshape(rows, columns), edgecolors=style.FAINT, linewidth=0.4, **colours)
        axes.invert_yaxis()

    return _Panel(f"{layer.name}{left_out}: {scale}", draw, width * rows / columns, width)


def _columns(count: int) -> int:
    """How many units stand in a row: all rows are full, if that can be."""
    most = COLUMNS if count <= MANY else MANY_COLUMNS
    full = [columns for columns in range(most, most // 2, -1) if count % columns == 0]
    return min(count, full[0] if full else most)


def _colours(values: np.ndarray) -> tuple[dict[str, Any], str]:
    """How ``values`` are coloured, white where they are zero, and how far they reach."""
    low, high = float(values.min()), float(values.max())
    end = max(-low, high) or 1.0
    colours: Colormap = style.SIGNED if low < 0 else style.SEQUENTIAL
    scale = {"cmap": colours.with_extremes(bad=str(FRAME_GREY)), "vmin": -end if low < 0 else 0, "vmax": end}
    return scale, f"{low:.3g} to {high:.3g}".replace("-", "\N{MINUS SIGN}")


def _outputs(subject: Subject, layer: Activation, maps: int) -> _Panel:
    """Classes as bars, what an autoencoder gives back as an image, other outputs as units."""
    if subject.class_names:
        return _bars(subject, layer)
    if subject.code is not None:
        x = torch.from_numpy(layer.values.reshape(subject.inputs.shape[1:]))
        return _image(f"{layer.name}: the input given back", as_shares(subject, in_data(subject, x)))
    return _layer(layer, maps)


def _bars(subject: Subject, layer: Activation) -> _Panel:
    order = np.arange(len(layer.values))
    if len(order) > MOST_CLASSES:
        order = np.argsort(-layer.values, kind="stable")[:MOST_CLASSES]
    values = layer.values[order]
    names = [shortened(subject.class_names[label], 12) for label in order]

    def draw(axes: Axes) -> None:
        axes.barh(range(len(order)), values, height=0.7, color=style.BLUE)
        axes.set_yticks(range(len(order)), names)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlim(min(0, values.min() * 1.05), (max(values.max(), 0) or 1) * 1.2)
        for row, value in enumerate(values):
            axes.annotate(f"{value:.3f}", (max(value, 0), row), (3, 0), textcoords="offset points", va="center")

    likeliest = f", the {len(order)} likeliest of {len(layer.values)} classes" if len(order) < len(layer.values) else ""
    return _Panel(f"{layer.name}{likeliest}", draw, BAR * len(order), INSIDE - NAMES, MARGIN + NAMES)
