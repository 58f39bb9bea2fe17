"""The ways to train. A new one is a file here and a line in ``AnyOptimizer``."""

from typing import Annotated

from pydantic import Field

from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.rmsprop import RmsProp
from nnpipe.training.optimizers.sgd import Sgd

AnyOptimizer = Annotated[
    Sgd | Adam | RmsProp | ConjugateGradient,
    Field(discriminator="kind"),
]

__all__ = ["Adam", "AnyOptimizer", "ConjugateGradient", "RmsProp", "Sgd"]
