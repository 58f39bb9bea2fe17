"""Images on their way between the network, the data's units and paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from torch import Tensor

    from nnpipe.plots.picture import Subject


def draw_image(axes: Axes, shares: np.ndarray) -> None:
    """Fill ``axes`` with an image, (channels, height, width) from 0 to 1, in a frame; ink is dark."""
    import numpy as np

    from nnpipe.plots.mosaic import FRAME_GREY, assemble
    from nnpipe.plots.samples import tiles_of
    from nnpipe.plots.style import bare

    bare(axes)
    grid = assemble(tiles_of(shares[None]), 1, gap=1.0)
    axes.imshow(np.where(np.isnan(grid), FRAME_GREY, grid), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def draw_test_image(
    axes: Axes, subject: Subject, index: int, extent: tuple[float, float, float, float] | None = None
) -> None:
    """Draw a test image over ``axes``, or between left, right, bottom and top of ``extent``, beside words.

    As ink on white where it is grey, else in its own colours.
    """
    image = as_shares(subject, subject.inputs[index])
    shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    axes.imshow(shown, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", extent=extent)


def draw_signed(axes: Axes, values: np.ndarray) -> None:
    """Fill ``axes`` with ``values``, (height, width), in a frame: red positive, blue negative, white zero."""
    from nnpipe.plots.mosaic import assemble
    from nnpipe.plots.style import SIGNED, bare

    bare(axes)
    end = float(abs(values).max()) or 1.0
    axes.imshow(assemble(values[None], 1, gap=0.0), cmap=SIGNED, vmin=-end, vmax=end, interpolation="nearest")


def in_data(subject: Subject, x: Tensor) -> np.ndarray:
    """What the network reads, in the data's units: the way back from ``scaling.apply``."""
    import numpy as np

    scaling = subject.network.scaling
    raw: np.ndarray = x.numpy() * np.asarray(scaling.scale, np.float32) + np.asarray(scaling.offset, np.float32)
    return raw


def as_shares(subject: Subject, images: np.ndarray) -> np.ndarray:
    """Images in the data's units as shares of its range, from 0 to 1."""
    low, high = value_range(subject)
    shares: np.ndarray = (images.astype(float) - low) / ((high - low) or 1)
    return shares.clip(0, 1)


def value_range(subject: Subject) -> tuple[float, float]:
    """The lowest and the highest value of the data, as far as it is known."""
    low, high = subject.attributes.get("value_range") or (subject.inputs.min(), subject.inputs.max())
    return float(low), float(high)
