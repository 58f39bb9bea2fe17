"""What training makes small. A new loss is a file here and a line in ``AnyLoss``."""

from typing import Annotated

from pydantic import Field

from nnpipe.spec import Shorthand
from nnpipe.training.losses.binary_cross_entropy import BinaryCrossEntropy
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.hinge import Hinge
from nnpipe.training.losses.huber import Huber
from nnpipe.training.losses.mean_absolute_error import MeanAbsoluteError
from nnpipe.training.losses.mean_squared_error import MeanSquaredError

AnyLoss = Annotated[
    CrossEntropy | BinaryCrossEntropy | Hinge | MeanSquaredError | MeanAbsoluteError | Huber,
    Field(discriminator="kind"),
]
AnyLossOrKind = Annotated[AnyLoss, Shorthand()]

__all__ = [
    "AnyLoss",
    "AnyLossOrKind",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "MeanAbsoluteError",
    "MeanSquaredError",
]
