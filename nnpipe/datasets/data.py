"""The ``data`` part of a spec: where examples come from, how they are kept and divided, and how they are scaled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnpipe.datasets.sources import AnySource
from nnpipe.spec import Part, Shorthand

Format = Literal["hdf5", "zarr"]
Scaling = Literal["auto", "unit", "standard", "none"]
TargetScaling = Literal["auto", "standard", "none"]
AnySourceOrKind = Annotated[AnySource, Shorthand()]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Validation = Annotated[int, Field(ge=0)] | Fraction
Test = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]


class Data(Part):
    """The data of a spec."""

    source: AnySourceOrKind = Field(description="Where the examples come from.")
    format: Format = Field("hdf5", description="What they are kept in; results do not depend on it.")
    validation: Validation = Field(
        0, description="Training examples to hold out for validation: a number, or a fraction below 1."
    )
    test: Test | None = Field(
        None,
        description="Examples to hold out for the test, if the source has none of its own: a number, or a fraction "
        "below 1. Left out: the source's own, or a fifth.",
    )
    binary: Literal["sample", "threshold"] | None = Field(
        None,
        description="Makes values 0 or 1 when they are read. sample: drawn once, with the value as the probability; "
        "threshold: 1 above the middle of their range.",
    )
    scaling: Scaling = Field(
        "auto", description="unit: to 0..1; standard: mean 0, variance 1; auto: unit where the range is known."
    )
    target_scaling: TargetScaling = Field(
        "auto",
        description="Of numbers to learn. standard: mean 0, variance 1 while training, and predictions in the data's "
        "units; auto: standard if the last layer is linear.",
    )
    seed: int = Field(0, ge=0, description="Draws made-up data and the splits.")
