"""The ways to learn one layer at a time, most without labels. A new one is a file here and a line in ``AnyMethod``."""

from typing import Annotated

from nnpipe.pretraining.method import Method
from nnpipe.spec import Components

AnyMethod = Annotated[
    Method,
    Components(
        __name__,
        rbm="Rbm",
        autoencoder="Autoencoder",
        supervised="Supervised",
    ),
]
