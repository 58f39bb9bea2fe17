"""The layers that a network can be made of. A new one is a file here and a line in ``AnyLayer``."""

from typing import Annotated

from pydantic import Field

from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.max_pool2d import MaxPool2d

AnyLayer = Annotated[
    Dense | Conv2d | MaxPool2d | Flatten | Dropout,
    Field(discriminator="kind"),
]

__all__ = ["AnyLayer", "Conv2d", "Dense", "Dropout", "Flatten", "MaxPool2d"]
