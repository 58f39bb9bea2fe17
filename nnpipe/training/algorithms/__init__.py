"""The algorithms that say what the gradient is. A new one is a file here and a line in ``AnyAlgorithm``."""

from typing import Annotated

from nnpipe.spec import Components
from nnpipe.training.algorithms.algorithm import Algorithm

AnyAlgorithm = Annotated[
    Algorithm,
    Components(
        __name__,
        backpropagation="Backpropagation",
        up_down="UpDown",
    ),
]
