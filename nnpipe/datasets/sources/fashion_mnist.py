"""Pictures of clothes: Xiao, Rasul & Vollgraf (2017), "Fashion-MNIST: a Novel Image Dataset"."""

from __future__ import annotations

from typing import ClassVar, Literal

from nnpipe.datasets.sources.well_known import WellKnown


class FashionMnist(WellKnown):
    """70,000 grey images of 28x28, 10,000 of them for the test."""

    kind: Literal["fashion_mnist"] = "fashion_mnist"
    torchvision_name: ClassVar[str] = "FashionMNIST"
    names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
