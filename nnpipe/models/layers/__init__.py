"""The layers that a network can be made of. A new one is a file here and a line in ``AnyLayer``."""

from typing import Annotated

from nnpipe.models.layers.layer import Layer
from nnpipe.spec import Components

AnyLayer = Annotated[
    Layer,
    Components(
        __name__,
        dense="Dense",
        conv2d="Conv2d",
        max_pool2d="MaxPool2d",
        avg_pool2d="AvgPool2d",
        global_average_pool2d="GlobalAveragePool2d",
        global_max_pool2d="GlobalMaxPool2d",
        flatten="Flatten",
        reshape="Reshape",
        activation="ActivationLayer",
        dropout="Dropout",
        batch_norm="BatchNorm",
        residual="Residual",
        classification_rbm="ClassificationRbm",
        custom="Custom",
    ),
]
