"""The ways to train. A new one is a file here and a line in ``AnyOptimizer``."""

from typing import Annotated

from pydantic import Field

from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.lbfgs import Lbfgs
from nnpipe.training.optimizers.levenberg_marquardt import LevenbergMarquardt
from nnpipe.training.optimizers.muon import Muon
from nnpipe.training.optimizers.rmsprop import RmsProp
from nnpipe.training.optimizers.scaled_conjugate_gradient import ScaledConjugateGradient
from nnpipe.training.optimizers.sgd import Sgd

AnyOptimizer = Annotated[
    Sgd | Adam | AdamW | RmsProp | Muon | ConjugateGradient | ScaledConjugateGradient | Lbfgs | LevenbergMarquardt,
    Field(discriminator="kind"),
]

__all__ = [
    "Adam",
    "AdamW",
    "AnyOptimizer",
    "ConjugateGradient",
    "Lbfgs",
    "LevenbergMarquardt",
    "Muon",
    "RmsProp",
    "ScaledConjugateGradient",
    "Sgd",
]
