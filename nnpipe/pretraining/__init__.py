"""The ways to learn a layer without labels. A new one is a file here and a line in ``AnyMethod``."""

from typing import Annotated

from pydantic import Field

from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.rbm import Rbm

AnyMethod = Annotated[
    Rbm | Autoencoder,
    Field(discriminator="kind"),
]

__all__ = ["AnyMethod", "Autoencoder", "Rbm"]
