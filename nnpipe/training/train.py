"""Supervised training as a spec says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnpipe.spec import Part, Shorthand
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.losses import AnyLossOrKind, CrossEntropy
from nnpipe.training.optimizers import Adam, AnyOptimizer

Precision = Literal["float32", "bfloat16"]


class Train(Part):
    """How the network learns from labels, or from numbers."""

    loss: AnyLossOrKind = Field(CrossEntropy(), description="What is made small.")
    optimizer: Annotated[AnyOptimizer, Shorthand()] = Adam()
    epochs: int = Field(10, ge=1, description="Times that every training example is seen.")
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(
        32, description="Examples between two steps of the optimizer; full: all of them."
    )
    precision: Precision = Field("float32", description="bfloat16: twice as fast on processors that know it.")
    early_stopping: EarlyStopping | None = Field(None, description="Left out: all epochs, and the last weights.")
