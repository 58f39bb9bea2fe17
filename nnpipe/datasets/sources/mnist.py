"""Handwritten digits: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998."""

from __future__ import annotations

from typing import ClassVar, Literal

from nnpipe.datasets.sources.well_known import WellKnown


class Mnist(WellKnown):
    """70,000 grey images of 28x28, 10,000 of them for the test."""

    kind: Literal["mnist"] = "mnist"
    torchvision_name: ClassVar[str] = "MNIST"
    names: ClassVar[tuple[str, ...]] = tuple("0123456789")
