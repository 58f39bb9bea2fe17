"""Scaling as Keras's layer ``Normalization``: (x - mean) / sqrt(variance), inverted x * sqrt(variance) + mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnpipe.errors import StageError

if TYPE_CHECKING:
    from nnpipe.models.scaling import Scaling

# Below its epsilon Keras divides by that; above, the variance is no float32 any more.
LEAST, MOST = 1e-7, 1e19


def normalization(scaling: Scaling, *, invert: bool) -> dict[str, Any]:
    """The options of the layer, whose numbers are no weights: nothing is left for training to change.

    invert: from scaled values to values in the data's units.

    Raises:
        StageError: Keras would divide by another number.
    """
    import numpy as np

    offset, scale = np.broadcast_arrays(np.asarray(scaling.offset, float), np.asarray(scaling.scale, float))
    if scale.min() < LEAST or scale.max() > MOST:
        raise StageError(
            "Keras cannot scale by such numbers",
            expected=f"scales from {LEAST:g} to {MOST:g}",
            found=f"scales from {scale.min():g} to {scale.max():g}",
            hint="set preprocessing: metadata, or give the data in other units",
        )
    axis = -1 if scale.ndim else None  # a number for each feature, or one for all values
    return {"axis": axis, "mean": offset.tolist(), "variance": np.square(scale).tolist(), "invert": invert}
