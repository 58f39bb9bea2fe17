"""A matrix of small pictures: a row for each unit, a column for each channel that it reads, all on one signed scale.

Every value is a whole number of pixels wide, so that what is drawn is what is there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnpipe.plots import style
from nnpipe.plots.mosaic import colour_bar, end_of_scale

LEFT, TOP, FOOT = 76, 64, 96  # pixels for the names of rows and of columns, and for the colours
GAP, APART = 3, 14  # pixels between tiles, and between these and what stands above them
ROOM = 960 - LEFT - 8  # pixels for the tiles
DIGIT = 10.5  # pixels of a small digit


def most_columns(width: int) -> int:
    """How many tiles of ``width`` values can stand side by side."""
    return max(1, ROOM // (width + GAP))


def draw_tile_matrix(
    tiles: np.ndarray,
    rows: Sequence[int],
    columns: Sequence[int],
    names: tuple[str, str],
    head: np.ndarray | None = None,
) -> Figure:
    """Draw ``tiles`` (rows, columns, height, width).

    names: what rows are, and what columns are.
    head: pictures to stand above the columns, (columns, channels, height, width), on a scale of their own.
    """
    zoom = max(1, min(72, ROOM // tiles.shape[1] - GAP) // max(tiles.shape[2:]))
    step = zoom * tiles.shape[3] + GAP
    grid = _beside(tiles, zoom)
    above = None if head is None else _head(head, step)
    top = TOP + (0 if above is None else len(above) + APART)
    figure = style.new_figure((top + len(grid) + FOOT) / style.DPI, layout=None)
    axes = _axes(figure, grid, top)
    limit = end_of_scale(tiles)
    image = axes.imshow(grid, cmap=style.SIGNED, vmin=-limit, vmax=limit, aspect="auto")
    if above is not None:
        _axes(figure, above, TOP).imshow(above, aspect="auto")
    _name(figure, rows, columns, names, (step, zoom * tiles.shape[2] + GAP), top)
    high = top + len(grid) + FOOT
    colour_bar(figure, image, limit, axes=figure.add_axes((0.2, 56 / high, 0.6, 14 / high)))
    return figure


def _beside(tiles: np.ndarray, zoom: int) -> np.ndarray:
    """One image of tiles (rows, columns, height, width[, colours]), each value ``zoom`` wide; gaps are NaN."""
    blown = tiles.repeat(zoom, axis=2).repeat(zoom, axis=3)
    gaps = ((0, 0), (0, 0), (0, GAP), (0, GAP)) + ((0, 0),) * (tiles.ndim - 4)
    padded = np.pad(blown.astype(np.float64), gaps, constant_values=np.nan)
    rows, columns, height, width = padded.shape[:4]
    whole = padded.swapaxes(1, 2).reshape(rows * height, columns * width, *padded.shape[4:])
    return whole[:-GAP, :-GAP]


def _head(pictures: np.ndarray, step: int) -> np.ndarray | None:
    """The pictures side by side as colours (height, width, 3), ``step`` from one to the next; None if too large."""
    zoom = (step - GAP) // max(pictures.shape[2:])
    if zoom == 0:
        return None
    limit = end_of_scale(pictures)
    if pictures.shape[1] == 3:
        coloured = np.clip(0.5 + pictures.transpose(0, 2, 3, 1) / (2 * limit), 0, 1)
    else:
        coloured = style.SIGNED(0.5 + pictures[:, 0] / (2 * limit))[..., :3]
    height, width = (zoom * size for size in coloured.shape[1:3])
    whole = np.ones((height, len(pictures) * step - GAP, 3))
    for place, picture in enumerate(coloured.repeat(zoom, axis=1).repeat(zoom, axis=2)):
        left = place * step + (step - GAP - width) // 2
        whole[:, left : left + width] = picture
    return whole


def _axes(figure: Figure, grid: np.ndarray, top: int) -> Axes:
    """Axes for ``grid``, pixel for pixel, ``top`` pixels below the upper edge."""
    wide, high = figure.get_size_inches() * style.DPI
    height, width = grid.shape[:2]
    axes = figure.add_axes((LEFT / wide, 1 - (top + height) / high, width / wide, height / high))
    style.bare(axes)
    return axes


def _name(
    figure: Figure,
    rows: Sequence[int],
    columns: Sequence[int],
    names: tuple[str, str],
    step: tuple[int, int],
    top: int,
) -> None:
    wide, high = figure.get_size_inches() * style.DPI
    across, down = step
    longest = max(len(str(column)) for column in columns)
    every = -(-round(longest * DIGIT + 4) // across)  # of the columns, every so many have a name
    for place, column in list(enumerate(columns))[::every]:
        x = LEFT + (place + 0.5) * across - GAP / 2
        figure.text(x / wide, 1 - (TOP - 4) / high, str(column), fontsize=6, color=style.MUTED, ha="center")
    every = -(-18 // down)
    for place, row in list(enumerate(rows))[::every]:
        y = top + (place + 0.5) * down - GAP / 2
        figure.text(
            (LEFT - 6) / wide, 1 - y / high, str(row), fontsize=6, color=style.MUTED, ha="right", va="center_baseline"
        )
    figure.text(LEFT / wide, 1 - 26 / high, names[1], fontsize=7.5, color=style.INK)
    middle = 1 - (top + len(rows) * down / 2) / high
    figure.text(10 / wide, middle, names[0], fontsize=7.5, color=style.INK, rotation=90, va="center")
