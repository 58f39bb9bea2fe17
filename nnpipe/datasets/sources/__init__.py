"""The sources that data can come from. A new one is a file here and a line in ``AnySource``."""

from typing import Annotated

from pydantic import Field

from nnpipe.datasets.sources.arrays import Arrays
from nnpipe.datasets.sources.diabetes import Diabetes
from nnpipe.datasets.sources.digits import Digits
from nnpipe.datasets.sources.fashion_mnist import FashionMnist
from nnpipe.datasets.sources.function import Function
from nnpipe.datasets.sources.idx import Idx
from nnpipe.datasets.sources.image_folder import ImageFolder
from nnpipe.datasets.sources.kmnist import Kmnist
from nnpipe.datasets.sources.mnist import Mnist
from nnpipe.datasets.sources.two_classes import TwoClasses

AnySource = Annotated[
    Digits | Mnist | FashionMnist | Kmnist | Idx | ImageFolder | Arrays | TwoClasses | Function | Diabetes,
    Field(discriminator="kind"),
]

__all__ = [
    "AnySource",
    "Arrays",
    "Diabetes",
    "Digits",
    "FashionMnist",
    "Function",
    "Idx",
    "ImageFolder",
    "Kmnist",
    "Mnist",
    "TwoClasses",
]
