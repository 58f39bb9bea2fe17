"""What pretrained layers become that learn on together. A new one is a file here and a line in ``AnyJoint``."""

from typing import Annotated

from nnpipe.pretraining.joint.joint import Joint
from nnpipe.spec import Components

AnyJoint = Annotated[
    Joint,
    Components(
        __name__,
        deep_boltzmann_machine="DeepBoltzmann",
    ),
]
