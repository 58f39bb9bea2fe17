"""The orders in which an epoch sees the training examples. A new one is a file here and a line in ``AnyShuffle``."""

from typing import Annotated

from nnpipe.spec import Components, Shorthand
from nnpipe.training.shuffles.shuffle import Shuffle

AnyShuffle = Annotated[
    Shuffle,
    Components(
        __name__,
        full="Full",
        blocks="Blocks",
    ),
    Shorthand(),
]
