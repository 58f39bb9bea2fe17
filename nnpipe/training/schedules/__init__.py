"""How the learning rate and the momentum go while training does. A new one is a file here and a line in the union."""

from typing import Annotated

from pydantic import Field

from nnpipe.training.schedules.constant import Constant
from nnpipe.training.schedules.cosine import Cosine
from nnpipe.training.schedules.exponential import Exponential
from nnpipe.training.schedules.linear import Linear
from nnpipe.training.schedules.one_cycle import OneCycle
from nnpipe.training.schedules.piecewise import Piecewise
from nnpipe.training.schedules.schedule import Schedule
from nnpipe.training.schedules.step import Step

AnySchedule = Annotated[
    Constant | Step | Exponential | Cosine | Linear | OneCycle | Piecewise,
    Field(discriminator="kind"),
]

__all__ = [
    "AnySchedule",
    "Constant",
    "Cosine",
    "Exponential",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Schedule",
    "Step",
]
