"""Test images as they are drawn beside words: as ink on white where they are grey, else in their own colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpipe.plots.picture import Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


def shares(subject: Subject, index: int) -> np.ndarray:
    """A test image as shares of the data's range of values: (height, width), or (height, width, 3) of colours."""
    from nnpipe.plots.images import as_shares

    image = as_shares(subject, subject.inputs[index])
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def draw_image(
    axes: Axes, subject: Subject, index: int, extent: tuple[float, float, float, float] | None = None
) -> None:
    """Draw a test image over ``axes``, or between left, right, bottom and top of ``extent``."""
    axes.imshow(shares(subject, index), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", extent=extent)
