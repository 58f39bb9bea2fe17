"""Many small images of one size side by side in one picture, in order of rows.

Signed values keep their sign: white is zero, and red and blue of equal strength are equal and opposite.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

import numpy as np
from matplotlib.colorizer import ColorizingArtist
from matplotlib.figure import Figure

from nnpipe.plots import style

TILE = 36  # cells that a tile is blown up to, so that frames and gaps are thin whatever the tiles show
FRAME = 1
GAP = 5
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


def draw_filters(filters: np.ndarray, count: int, scale: Literal["shared", "each"]) -> FilterGrid:
    """Draw at most ``count`` of ``filters`` (units, channels, height, width), those of the largest norm first.

    Three channels are drawn as colours around grey; one channel as signed colours.
    """
    norms = np.sqrt(np.square(filters, dtype=np.float64).sum(axis=(1, 2, 3)))
    order = np.argsort(-norms, kind="stable")
    chosen = filters[order[:count]].astype(np.float64)
    if scale == "each":
        limits = np.abs(chosen).max(axis=(1, 2, 3))
        chosen = chosen / np.where(limits > 0, limits, 1)[:, None, None, None]
        limit = 1.0
    else:
        limit = _end_of_scale(chosen)
    coloured = chosen.shape[1] == 3
    tiles = np.clip(0.5 + chosen / (2 * limit), 0, 1).transpose(0, 2, 3, 1) if coloured else chosen[:, 0]
    columns = columns_for(len(tiles))
    grid = assemble(tiles, columns, gap=1.0 if coloured else 0.0)
    figure = _figure_of(grid)
    axes = figure.add_subplot()
    style.bare(axes)
    if coloured:
        axes.imshow(np.where(np.isnan(grid), FRAME_GREY, grid), interpolation="nearest")
    else:
        image = axes.imshow(grid, cmap=style.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
        _colour_bar(figure, image, limit, own_scale=scale == "each")
    return FilterGrid(
        figure,
        shown=len(tiles),
        total=len(filters),
        strongest=float(norms.max()),
        median=float(np.median(norms)),
        weakest=float(norms.min()),
        silent=int((norms < norms.max() / 10).sum()),
        limit=None if scale == "each" else limit,
    )


def assemble(tiles: np.ndarray, columns: int, gap: float) -> np.ndarray:
    """One image of ``tiles`` (n, height, width[, channels]), each blown up alike; frames are NaN, gaps ``gap``."""
    zoom = max(1, round(TILE / max(tiles.shape[1:3])))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    border = ((0, 0), (FRAME, FRAME), (FRAME, FRAME)) + ((0, 0),) * (tiles.ndim - 3)
    tiles = np.pad(tiles, border, constant_values=np.nan)
    count, height, width = tiles.shape[:3]
    rows = ceil(count / columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *tiles.shape[3:])
    grid = np.full(shape, gap)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        grid[top : top + height, left : left + width] = tile
    return grid


def columns_for(count: int) -> int:
    """A number of columns that makes the grid about square, with full rows if it can."""
    least = ceil(sqrt(count))
    full = [columns for columns in range(least, 2 * least) if count % columns == 0]
    return full[0] if full else least


def _end_of_scale(values: np.ndarray) -> float:
    """The weight where colours end: a few outliers (1 in 500) may lie beyond and take the last colour."""
    strength = np.abs(values)
    return float(np.quantile(strength, 0.998)) or float(strength.max()) or 1.0


def _figure_of(grid: np.ndarray) -> Figure:
    height, width = grid.shape[:2]
    return style.new_figure(style.WIDTH * height / width + 0.42)


def _colour_bar(figure: Figure, image: ColorizingArtist, limit: float, *, own_scale: bool) -> None:
    bar = figure.colorbar(
        image, ax=figure.axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=40, shrink=0.7
    )
    ends = ("\N{MINUS SIGN}max", "0", "+max") if own_scale else (f"\N{MINUS SIGN}{limit:.3g}", "0", f"+{limit:.3g}")
    bar.set_ticks([-limit, 0, limit], labels=ends)
    bar.outline.set_visible(False)
