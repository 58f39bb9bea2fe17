"""From raw values to what a network reads: x = (raw - offset) / scale in float32, kept with the model.

Numbers to learn are scaled in the same way: a network gives scaled ones, and raw = scaled * scale + offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from nnpipe.errors import DataError
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np

ScalingKind = Literal["auto", "unit", "standard", "none"]
TargetScalingKind = Literal["auto", "standard", "none"]
Numbers = float | tuple[float, ...]  # one for all values of an example, or one a feature


class Scaling(Part):
    """What is subtracted from raw values, and what the difference is divided by; as it is by default: nothing.

    range: the smallest and largest raw value that there can be, None where it is not known.
    """

    offset: Numbers = 0.0
    scale: Numbers = 1.0
    range: tuple[float, float] | None = None

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Raw examples, (n, ...) of any numeric dtype, as float32 inputs of a network."""
        import numpy as np

        offset, scale = np.asarray(self.offset, np.float32), np.asarray(self.scale, np.float32)
        return (raw.astype(np.float32) - offset) / scale


def resolve_scaling(kind: ScalingKind, attributes: Mapping[str, Any]) -> Scaling:
    """What ``kind`` means for the data whose artifact has ``attributes``.

    unit: the values' range becomes 0 to 1. standard: mean 0 and variance 1 over the training examples, feature by
    feature for vectors, over all pixels for images. auto: unit where the range is known, else none.

    Raises:
        DataError: unit, and the range is not known.
    """
    value_range = tuple(attributes["value_range"]) if attributes.get("value_range") else None
    if kind == "standard":
        return _standard(attributes["statistics"]).model_copy(update={"range": value_range})
    if kind == "none" or (kind == "auto" and value_range is None):
        return Scaling(range=value_range)
    if value_range is None:
        raise DataError(
            "the range of the values is not known",
            where="data.scaling",
            expected="standard, none or auto",
            found="unit",
            hint="scaling standard needs no range",
        )
    low, high = value_range
    return Scaling(offset=low, scale=high - low if high > low else 1.0, range=value_range)


def resolve_target_scaling(kind: TargetScalingKind, attributes: Mapping[str, Any], linear: bool) -> Scaling:
    """What ``kind`` means for the numbers to learn of the data whose artifact has ``attributes``.

    standard: mean 0 and variance 1 over the training examples, number by number. auto: standard where the network's
    outputs are ``linear``, else none: the others do not reach every number. Of classes nothing is scaled.

    Raises:
        DataError: standard, of classes or for outputs that are not linear.
    """
    targets = attributes["statistics"].get("targets") if attributes.get("target_names") else None
    if kind == "standard" and not (targets and linear):
        raise DataError(
            "the answers cannot be scaled to mean 0 and variance 1",
            where="data.target_scaling",
            expected="numbers to learn, and activation linear in the last layer",
            found="a last layer with another activation" if targets else "classes",
            hint="leave target_scaling out",
        )
    return Scaling() if kind == "none" or not (targets and linear) else _standard(targets)


def _standard(statistics: Mapping[str, Any]) -> Scaling:
    # A value that never changes carries nothing: it is centred and left at zero.
    if statistics.get("feature_mean"):
        scale = tuple(float(std) if std > 0 else 1.0 for std in statistics["feature_std"])
        return Scaling(offset=tuple(map(float, statistics["feature_mean"])), scale=scale)
    return Scaling(offset=statistics["mean"], scale=statistics["std"] if statistics["std"] > 0 else 1.0)
