"""The ways to train. A new one is a file here and a line in ``AnyOptimizer``."""

from typing import Annotated

from nnpipe.spec import Components
from nnpipe.training.optimizers.optimizer import Optimizer

AnyOptimizer = Annotated[
    Optimizer,
    Components(
        __name__,
        sgd="Sgd",
        adam="Adam",
        adamw="AdamW",
        rmsprop="RmsProp",
        muon="Muon",
        conjugate_gradient="ConjugateGradient",
        scaled_conjugate_gradient="ScaledConjugateGradient",
        lbfgs="Lbfgs",
        levenberg_marquardt="LevenbergMarquardt",
    ),
]
