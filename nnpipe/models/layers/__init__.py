"""The layers that a network can be made of. A new one is a file here and a line in ``AnyLayer``."""

from typing import Annotated

from pydantic import Field

from nnpipe.models.layers.activation import ActivationLayer
from nnpipe.models.layers.avg_pool2d import AvgPool2d
from nnpipe.models.layers.batch_norm import BatchNorm
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.custom import Custom
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.global_average_pool2d import GlobalAveragePool2d
from nnpipe.models.layers.global_max_pool2d import GlobalMaxPool2d
from nnpipe.models.layers.max_pool2d import MaxPool2d
from nnpipe.models.layers.reshape import Reshape
from nnpipe.models.layers.residual import Residual

AnyLayer = Annotated[
    Dense
    | Conv2d
    | MaxPool2d
    | AvgPool2d
    | GlobalAveragePool2d
    | GlobalMaxPool2d
    | Flatten
    | Reshape
    | ActivationLayer
    | Dropout
    | BatchNorm
    | Residual
    | Custom,
    Field(discriminator="kind"),
]

Residual.model_rebuild(_types_namespace={"AnyLayer": AnyLayer})  # which holds layers itself

__all__ = [
    "ActivationLayer",
    "AnyLayer",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Custom",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool2d",
    "GlobalMaxPool2d",
    "MaxPool2d",
    "Reshape",
    "Residual",
]
