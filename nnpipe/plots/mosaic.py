"""Many small images of one size side by side in one picture, in order of rows.

Signed values keep their sign: white is zero, and red and blue of equal strength are equal and opposite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorizer import ColorizingArtist
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from nnpipe.plots import style

TILE = 36  # cells that a tile is blown up to, so that frames and gaps are thin whatever the tiles show
FRAME = 1
GAP = 5
HEAD = 0.12  # inches above a grid for the names of its first row
NAME = 5.5  # points of a name above a tile
FRAME_GREY = 0.67


@dataclass(frozen=True)
class FilterGrid:
    """Filters drawn, and what is to be said of them.

    shown: how many of the ``total``.
    strongest, median, weakest: norms, over all filters.
    silent: how many have less than a tenth of the strongest's norm.
    limit: the weight where the colours end; None where each tile has its own.
    """

    figure: Figure
    shown: int
    total: int
    strongest: float
    median: float
    weakest: float
    silent: int
    limit: float | None

    def words(self) -> str:
        """How to read the grid and what is seen in it."""
        colour = (
            f"one scale for all of them, its ends at ±{self.limit:.3g}"
            if self.limit is not None
            else "each on its own scale, so colours say nothing about strength from one to the next"
        )
        which = f"the {self.shown} strongest of {self.total}" if self.shown < self.total else f"all {self.total}"
        silent = (
            f" {self.silent} of them {'has' if self.silent == 1 else 'have'} less than a tenth of the largest norm "
            "and hardly take part."
            if self.silent
            else " None has less than a tenth of the largest norm: all of them take part."
        )
        return (
            f"Red weights speak for the unit, blue ones against it, white ones are zero ({colour}). Shown are {which}, "
            f"the strongest first, row by row. The largest norm is {self.strongest:.3g}, the median {self.median:.3g}, "
            f"the smallest {self.weakest:.3g}.{silent}"
        )


def draw_filters(
    filters: np.ndarray, count: int, scale: Literal["shared", "each"], *, numbers: bool = False
) -> FilterGrid:
    """Draw at most ``count`` of ``filters`` (units, channels, height, width), those of the largest norm first.

    Three channels are drawn as colours around grey; one channel as signed colours.
    numbers: whether each has the number of its unit, from 0, above it.
    """
    norms = np.sqrt(np.square(filters, dtype=np.float64).sum(axis=(1, 2, 3)))
    order = np.argsort(-norms, kind="stable")
    chosen = filters[order[:count]].astype(np.float64)
    if scale == "each":
        limits = np.abs(chosen).max(axis=(1, 2, 3))
        chosen = chosen / np.where(limits > 0, limits, 1)[:, None, None, None]
        limit = 1.0
    else:
        limit = end_of_scale(chosen)
    columns = columns_for(len(chosen))
    names = [str(unit) for unit in order[:count]] if numbers else []
    height, width = grid_size(chosen.shape, columns, named=numbers)
    figure = style.new_figure(style.WIDTH * height / width + 0.42 + HEAD * numbers)
    image = show_filters(figure.add_subplot(), chosen, columns, limit, names)
    if chosen.shape[1] == 1:
        colour_bar(figure, image, limit, own_scale=scale == "each")
    return FilterGrid(
        figure,
        shown=len(chosen),
        total=len(filters),
        strongest=float(norms.max()),
        median=float(np.median(norms)),
        weakest=float(norms.min()),
        silent=int((norms < norms.max() / 10).sum()),
        limit=None if scale == "each" else limit,
    )


def show_filters(axes: Axes, filters: np.ndarray, columns: int, limit: float, names: Sequence[str] = ()) -> AxesImage:
    """Show ``filters`` (n, channels, height, width) in rows of ``columns``; colours end at ``limit``.

    names: what stands above each of them, if anything.
    """
    style.bare(axes)
    room = _room(columns) if names else GAP
    if filters.shape[1] == 3:
        tiles = np.clip(0.5 + filters / (2 * limit), 0, 1).transpose(0, 2, 3, 1)
        grid = assemble(tiles, columns, gap=1.0, room=room)
        image = axes.imshow(np.where(np.isnan(grid), FRAME_GREY, grid), interpolation="nearest")
    else:
        grid = assemble(filters[:, 0], columns, gap=0.0, room=room)
        image = axes.imshow(grid, cmap=style.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    height, width = (size + 2 * FRAME for size in _blown_up(filters.shape[2:]))
    for place, name in enumerate(names):
        left, top = (place % columns) * (width + GAP), (place // columns) * (height + room)
        axes.text(left, top - 1, name, fontsize=NAME, color=style.MUTED, va="bottom", ha="left")
    return image


def grid_size(shape: Sequence[int], columns: int, *, named: bool = False) -> tuple[int, int]:
    """Rows and columns of cells of a grid of ``shape`` (n, channels, height, width)."""
    height, width = (size + 2 * FRAME for size in _blown_up(shape[2:]))
    room = _room(columns) if named else GAP
    return ceil(shape[0] / columns) * (height + room) - room, columns * (width + GAP) - GAP


def assemble(tiles: np.ndarray, columns: int, gap: float, room: int = GAP) -> np.ndarray:
    """One image of ``tiles`` (n, height, width[, channels]), each blown up alike; frames are NaN, gaps ``gap``.

    room: cells between rows.
    """
    zoom = _zoom(tiles.shape[1:3])
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    border = ((0, 0), (FRAME, FRAME), (FRAME, FRAME)) + ((0, 0),) * (tiles.ndim - 3)
    tiles = np.pad(tiles, border, constant_values=np.nan)
    count, height, width = tiles.shape[:3]
    rows = ceil(count / columns)
    shape = (rows * (height + room) - room, columns * (width + GAP) - GAP, *tiles.shape[3:])
    grid = np.full(shape, gap)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + room), (index % columns) * (width + GAP)
        grid[top : top + height, left : left + width] = tile
    return grid


def _zoom(size: Sequence[int]) -> int:
    return max(1, round(TILE / max(size)))


def _blown_up(size: Sequence[int]) -> tuple[int, int]:
    zoom = _zoom(size)
    return zoom * size[0], zoom * size[1]


def _room(columns: int) -> int:
    """Cells between rows that a name needs: the more columns, the smaller are the cells."""
    return max(GAP, columns + 2)


def columns_for(count: int) -> int:
    """A number of columns that makes the grid about square, with full rows if it can."""
    least = ceil(sqrt(count))
    full = [columns for columns in range(least, 2 * least) if count % columns == 0]
    return full[0] if full else least


def end_of_scale(values: np.ndarray) -> float:
    """The weight where colours end: a few outliers (1 in 500) may lie beyond and take the last colour."""
    strength = np.abs(values)
    return float(np.quantile(strength, 0.998)) or float(strength.max()) or 1.0


def colour_bar(
    figure: Figure, image: ColorizingArtist, limit: float, *, own_scale: bool = False, axes: Axes | None = None
) -> None:
    """Tell what the ends of signed colours stand for; below everything else where it has no ``axes`` of its own."""
    if axes is None:
        bar = figure.colorbar(
            image, ax=figure.axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=40, shrink=0.7
        )
    else:
        bar = figure.colorbar(image, cax=axes, orientation="horizontal")
    ends = ("\N{MINUS SIGN}max", "0", "+max") if own_scale else (f"\N{MINUS SIGN}{limit:.3g}", "0", f"+{limit:.3g}")
    bar.set_ticks([-limit, 0, limit], labels=ends)
    bar.outline.set_visible(False)
