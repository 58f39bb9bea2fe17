"""Images that a network generated, in rows and columns that have names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnpipe.errors import StageError
from nnpipe.plots import style
from nnpipe.plots.confusion_matrix import shortened
from nnpipe.plots.mosaic import FRAME_GREY, assemble, columns_for
from nnpipe.plots.picture import Subject

NAMES, HEAD = 0.85, 0.3  # inches for the names of rows, and of columns
LARGEST = 0.75  # inches of a tile


def check_held(picture: str, what: str, number: int | None, count: int) -> None:
    """Refuse to hold a label or unit that there is not.

    Raises:
        StageError: its number is not below ``count``.
    """
    if number is not None and number >= count:
        raise StageError(
            f"the net has no {what} {number}",
            where=f"visualize, {picture}.{what}",
            expected=f"a number from 0 to {count - 1}",
            found=str(number),
        )


def tiles_of(images: np.ndarray) -> np.ndarray:
    """Images (n, channels, height, width) from 0 to 1 as tiles to assemble: ink black, colours as they are."""
    images = images.clip(0, 1)
    return images.transpose(0, 2, 3, 1) if images.shape[1] == 3 else 1 - images[:, 0]


def draw_samples(samples: np.ndarray, subject: Subject, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draw ``samples``, (columns, rows, pixels), from 0 to 1."""
    assert subject.image_shape is not None
    ordered = samples.transpose(1, 0, 2).reshape(-1, *subject.image_shape)
    grid = assemble(tiles_of(ordered), len(columns), gap=1.0)
    wide = min(style.WIDTH - NAMES, LARGEST * len(columns))
    high = wide * grid.shape[0] / grid.shape[1]
    figure = style.new_figure(high + HEAD, layout=None)
    whole = high + HEAD
    axes = figure.add_axes((NAMES / style.WIDTH, 0, wide / style.WIDTH, high / whole))
    _show(axes, grid)
    for row, name in enumerate(rows):
        place = high * (1 - (row + 0.5) / len(rows)) / whole
        figure.text((NAMES - 0.1) / style.WIDTH, place, shortened(name, 9), ha="right", va="center", color=style.INK)
    for column, name in enumerate(columns):
        place = (NAMES + wide * (column + 0.5) / len(columns)) / style.WIDTH
        figure.text(place, (high + HEAD / 2) / whole, name, ha="center", va="center", color=style.INK)
    figure.text(
        (NAMES - 0.1) / style.WIDTH, (high + HEAD / 2) / whole, "steps", ha="right", va="center", color=style.MUTED
    )
    return figure


def draw_mosaic(samples: np.ndarray) -> Figure:
    """Draw samples (n, channels, height, width), from 0 to 1, in order of rows."""
    tiles = tiles_of(samples)
    grid = assemble(tiles, columns_for(len(tiles)), gap=1.0)
    figure = style.new_figure(style.WIDTH * grid.shape[0] / grid.shape[1], layout=None)
    _show(figure.add_axes((0, 0, 1, 1)), grid)
    return figure


def _show(axes: Axes, grid: np.ndarray) -> None:
    style.bare(axes)
    shown = np.where(np.isnan(grid), FRAME_GREY, grid)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
