"""Handwritten Japanese characters: Clanuwat et al. (2018), "Deep Learning for Classical Japanese Literature"."""

from __future__ import annotations

from typing import ClassVar, Literal

from nnpipe.datasets.sources.well_known import WellKnown


class Kmnist(WellKnown):
    """70,000 grey images of 28x28, 10,000 of them for the test."""

    kind: Literal["kmnist"] = "kmnist"
    torchvision_name: ClassVar[str] = "KMNIST"
    names: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
