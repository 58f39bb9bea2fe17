"""What a Keras model says of itself, in our layers: the way back from ``keras_layers``, for Sequential models.

Regularizers, initializers and constraints are left aside: they say how a network learnt, not what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from nnpipe.errors import DataError
from nnpipe.exporters.keras_config import INPUT, Config, input_shape, sequential_layers
from nnpipe.exporters.keras_layer import Unknown, activation_of, layer_of, only
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape, ShapeError, shown
from nnpipe.models.scaling import Scaling

MOST_OUTPUTS = 1_000_000  # each has a name, and a file can claim any number


def keras_document(config: object, where: str) -> dict[str, Any]:
    """The model document of a Sequential model of somebody else's, from what ``model.to_json()`` gives.

    Outputs of a softmax, or of one logistic unit, are taken for classes, called by their numbers; others for numbers.

    Raises:
        DataError: it is no Sequential model, or has a layer that ours cannot stand for, which is named.
    """
    layers = sequential_layers(config, where)
    reading = _Reading(input_shape(config, layers, where))
    for number, layer in enumerate(layers, start=1):
        if layer.get("class_name") != INPUT:
            _read_layer(reading, layer, f"{where}, layer {number}")
    return reading.document(where)


def _read_layer(reading: _Reading, layer: Config, where: str) -> None:
    class_name = layer.get("class_name")
    try:
        reading.add(str(class_name), layer["config"])
    except Unknown as error:
        raise DataError(
            f"{class_name} cannot be read",
            where=where,
            expected="layers of a Sequential network that nnpipe has, too",
            found=error.found,
            hint="docs/importing.md tells which layers can be read",
        ) from error
    except (ShapeError, ValidationError, TypeError, ValueError, KeyError) as error:
        raise DataError(f"{class_name} cannot be read", where=where, found=_told(error)) from error


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return str(error)


@dataclass
class _Reading:
    """Our layers so far. shape: of what leaves the last of them, in our order of axes."""

    input: tuple[int, ...]
    layers: list[dict[str, Any]] = field(default_factory=list)
    scaling: Scaling = field(default_factory=Scaling)

    def __post_init__(self) -> None:
        if len(self.input) > 3:
            raise Unknown(f"examples of {shown(self.input)}")
        self.input_shape = self.shape = _ours(self.input)

    def add(self, class_name: str, config: Config) -> None:
        """Read on.

        Raises:
            Unknown: nothing of ours stands for it.
        """
        if config.get("data_format", "channels_last") not in ("channels_last", None):
            raise Unknown(f"data_format {config['data_format']}")
        match class_name:
            case "Dense":
                if len(self.shape) != 1:
                    raise Unknown("a dense layer that reads images place by place: there is no Flatten before it")
                self._append(kind="dense", units=config["units"], activation=activation_of(config.get("activation")))
            case "BatchNormalization":
                self._batch_norm(config)
            case "Flatten":
                if len(self.shape) != 1:
                    self._append(kind="flatten")
            case "Reshape":
                self._reshape(config["target_shape"])
            case "Rescaling":
                self._rescale(config)
            case "Normalization":
                self._normalize(config)
            case _:
                self._append(**layer_of(class_name, config))

    def _append(self, **layer: Any) -> None:
        found = Model.model_validate({"layers": [layer]}).layers[0]
        self.shape = found.output_shape(self.shape)
        self.layers.append(layer)

    def _batch_norm(self, config: Config) -> None:
        axis = config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, len(self.shape)):
            raise Unknown(f"axis {axis}")
        self._append(kind="batch_norm", momentum=config["momentum"], epsilon=config["epsilon"])

    def _reshape(self, target: Sequence[int]) -> None:
        sizes, there = list(target), math.prod(self.shape)
        if -1 in sizes:
            sizes[sizes.index(-1)] = there // max(1, math.prod(size for size in sizes if size != -1))
        shape = _ours(sizes)
        if len(sizes) > 3 or math.prod(shape) != there:
            raise Unknown(f"shape {shown(tuple(target))} for {there} values")
        if shape == self.shape:
            return
        if (len(shape) == 3 and shape[0] > 1) or (len(self.shape) == 3 and self.shape[0] > 1 and len(shape) > 1):
            raise Unknown("another order of the values: several channels are taken apart or put together")
        self._append(**({"kind": "flatten"} if len(shape) == 1 else {"kind": "reshape", "shape": shape}))

    def _first(self) -> None:
        """Refuse scaling of anything but raw values."""
        if self.layers or self.scaling != Scaling():
            raise Unknown("scaling that is not the first layer")

    def _normalize(self, config: Config) -> None:
        self._first()
        only(config, invert=False)
        mean, variance = config.get("mean"), config.get("variance")
        if isinstance(mean, list) and isinstance(variance, list) and len(mean) == len(variance) == self.shape[0]:
            if len(self.shape) > 1:
                raise Unknown("a scale for each value of an image")
            self.scaling = Scaling(offset=tuple(mean), scale=tuple(math.sqrt(each) for each in variance))
        elif isinstance(mean, int | float) and isinstance(variance, int | float):
            self.scaling = Scaling(offset=mean, scale=math.sqrt(variance))
        else:
            raise Unknown("means and variances that are not told with the layers")

    def _rescale(self, config: Config) -> None:
        self._first()
        scale, offset = config["scale"], config.get("offset", 0.0)
        if not all(isinstance(number, int | float) for number in (scale, offset)) or scale == 0:
            raise Unknown("a scale for each value")
        # x * scale + offset, in our words: (x - ours) / (1 / scale).
        self.scaling = Scaling(offset=-offset / scale + 0.0, scale=1 / scale)

    def document(self, where: str) -> dict[str, Any]:
        """The whole, once all layers were read."""
        if not self.layers or len(self.shape) != 1 or self.shape[0] > MOST_OUTPUTS:
            raise DataError(
                "the network gives no vector of answers",
                where=where,
                expected=f"a layer of at most {MOST_OUTPUTS:,} units at the end",
                found=f"examples of {shown(self.shape)}" if self.layers else "no layers",
            )
        model = Model.model_validate({"layers": self.layers})
        classes = _classes(model, self.shape[0])
        document = {
            "architecture": model.model_dump(mode="json"),
            "input_shape": list(self.input_shape),
            "scaling": self.scaling.model_dump(mode="json"),
            "class_names": [str(number) for number in range(classes)],
        }
        if not classes:
            names = [f"output_{number}" for number in range(self.shape[0])]
            document |= {"target_names": names, "target_scaling": Scaling().model_dump(mode="json")}
        return document


def _classes(model: Model, outputs: int) -> int:
    last = model.layers[-1]
    activation = getattr(last, "activation", "linear")
    if outputs == 1:
        return 2 if activation == "sigmoid" else 0
    return outputs if activation == "softmax" else 0


def _ours(shape: Sequence[int]) -> Shape:
    """(rows, columns, channels) as (channels, rows, columns); (rows, columns) as an image of one channel."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else (1, *shape) if len(shape) == 2 else tuple(shape)
