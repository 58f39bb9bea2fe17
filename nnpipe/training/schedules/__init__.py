"""How the learning rate and the momentum go while training does. A new one is a file here and a line in the union."""

from typing import Annotated

from nnpipe.spec import Components
from nnpipe.training.schedules.schedule import Schedule

AnySchedule = Annotated[
    Schedule,
    Components(
        __name__,
        constant="Constant",
        step="Step",
        exponential="Exponential",
        cosine="Cosine",
        linear="Linear",
        one_cycle="OneCycle",
        piecewise="Piecewise",
    ),
]
