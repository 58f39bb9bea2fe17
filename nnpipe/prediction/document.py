"""What a file says of the network in it, checked as what somebody else wrote: nothing is built or asked before."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nnpipe.errors import DataError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.layer import Layer, Shape, Size
from nnpipe.models.scaling import Numbers, Scaling

MOST_LAYERS, DEEPEST = 10_000, 32  # of a network, and of layers within layers
MOST_VALUES = 1 << 28  # of one example at any place of the network: a gigabyte


def _bounded(architecture: Any) -> Any:
    """Refuse what would take too long to look at."""
    if isinstance(architecture, Mapping) and _layers(architecture.get("layers"), 0) > MOST_LAYERS:
        raise ValueError(f"a network of more than {MOST_LAYERS:,} layers")
    return architecture


def _layers(layers: Any, depth: int) -> int:
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} layers within each other")
    if not isinstance(layers, list | tuple):
        return 0
    return len(layers) + sum(_layers(each.get("layers"), depth + 1) for each in layers if isinstance(each, Mapping))


def _printable(name: str) -> str:
    """Refuse what would steer the terminal that it is printed on, or cannot be printed at all."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ValueError("a name with control characters")
    return name


Name = Annotated[str, AfterValidator(_printable)]


class Document(BaseModel):
    """The fields of ``nnpipe.models.network.save_document``. largest: the most values that one example has anywhere."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    architecture: Annotated[Model, BeforeValidator(_bounded)]
    input_shape: tuple[Size, ...] = Field(min_length=1)
    scaling: Scaling
    class_names: tuple[Name, ...]
    target_names: tuple[Name, ...] = ()
    target_scaling: Scaling = Scaling()
    code: int | None = None

    @property
    def outputs(self) -> int:
        return self.architecture.shapes(self.input_shape)[-1][0]

    @property
    def largest(self) -> int:
        return _largest(self.architecture.layers, self.architecture.first_shape(self.input_shape))

    @model_validator(mode="after")
    def _check_sizes(self) -> Document:
        if self.largest > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values of one example")
        if len(self.architecture.shapes(self.input_shape)[-1]) != 1:
            raise ValueError("a network that does not give vectors")
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Document:
        names, outputs = self.class_names or self.target_names, self.outputs
        if self.code is not None and outputs != math.prod(self.input_shape):
            raise ValueError(f"an autoencoder of {math.prod(self.input_shape)} inputs that gives {outputs}")
        if self.code is None and len(names) != outputs and (len(self.class_names), outputs) != (2, 1):
            raise ValueError(f"{len(names)} names of {outputs} outputs")
        return self

    @model_validator(mode="after")
    def _check_scaling(self) -> Document:
        _check_fits(self.scaling, self.input_shape)
        _check_fits(self.target_scaling, (self.outputs,))
        return self


def _largest(layers: Sequence[Layer], shape: Shape) -> int:
    """The most values that ``layers`` make of one example of ``shape`` on the way."""
    largest = math.prod(shape)
    for layer in layers:
        largest = max(largest, _largest(layer.inner, shape))
        after = layer.output_shape(shape)
        if isinstance(layer, Conv2d):
            padded = (size + 2 * zeros for size, zeros in zip(shape[1:], layer.zeros, strict=True))
            largest = max(largest, shape[0] * math.prod(padded))
        shape = after
        largest = max(largest, math.prod(shape))
    return largest


def _check_fits(scaling: Scaling, shape: Shape) -> None:
    """Refuse numbers that are not one a feature, or would have something divided by 0."""
    for numbers in (scaling.offset, scaling.scale):
        if isinstance(numbers, tuple) and len(numbers) != shape[-1]:
            raise ValueError(f"{len(numbers)} numbers to scale {shape[-1]} values by")
    if not all(_each(scaling.scale)):
        raise ValueError("values cannot be divided by 0")


def _each(numbers: Numbers) -> tuple[float, ...]:
    return numbers if isinstance(numbers, tuple) else (numbers,)


def checked_document(about: Mapping[str, Any], path: Path) -> Document:
    """The document that ``Exporter.about`` found in the file at ``path``.

    Raises:
        DataError: it is of no network that could be.
    """
    try:
        return Document.model_validate(about)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = ": ".join((".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, "))).lstrip(": ")
    except TypeError as error:  # a kind that is no text to pydantic
        found = str(error)
    except RecursionError:
        found = "parts within parts without an end"
    raise DataError("the file's model document is damaged", where=str(path), found=found)
