"""What training makes small. A new loss is a file here and a line in ``AnyLoss``."""

from typing import Annotated

from nnpipe.spec import Components, Shorthand
from nnpipe.training.losses.loss import Loss

AnyLoss = Annotated[
    Loss,
    Components(
        __name__,
        cross_entropy="CrossEntropy",
        binary_cross_entropy="BinaryCrossEntropy",
        hinge="Hinge",
        mean_squared_error="MeanSquaredError",
        mean_absolute_error="MeanAbsoluteError",
        huber="Huber",
    ),
]
AnyLossOrKind = Annotated[AnyLoss, Shorthand()]
