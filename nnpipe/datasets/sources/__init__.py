"""The sources that data can come from. A new one is a file here and a line in ``AnySource``."""

from typing import Annotated

from nnpipe.datasets.sources.source import Source
from nnpipe.spec import Components

AnySource = Annotated[
    Source,
    Components(
        __name__,
        digits="Digits",
        mnist="Mnist",
        fashion_mnist="FashionMnist",
        kmnist="Kmnist",
        idx="Idx",
        image_folder="ImageFolder",
        arrays="Arrays",
        mnist_variations="MnistVariations",
        two_classes="TwoClasses",
        rectangles="Rectangles",
        convex="Convex",
        function="Function",
        diabetes="Diabetes",
    ),
]
