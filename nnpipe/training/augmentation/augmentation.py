"""What every augmentation offers: another picture of the same thing, for a whole batch at once."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Augmentation(Part):
    """A change that leaves the class what it is. Every example of a batch draws its own.

    The batch is changed as a whole on the device that computes: there are no loader processes, and results do not
    depend on how many there would be. What comes in from outside a picture is 0, as the network reads it: the
    background, where data.scaling is unit.
    """

    kind: str

    @abstractmethod
    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        """x: (batch, channels, height, width), scaled; what it returns has the same shape. generator: on the CPU."""
