"""What every order of examples offers: one for each epoch, drawn anew."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Generator, Tensor

ORDER = "The order of examples in an epoch. blocks: for files that are slow to read at random."


class Shuffle(Part):
    """How the examples of an epoch come. Only what it is given enters: not where they lie, and how much fits there."""

    kind: str

    @abstractmethod
    def order(self, count: int, row_bytes: int, draws: Generator) -> Tensor:
        """The numbers of ``count`` examples, each once: (count,) int64 on the CPU.

        row_bytes: of one example as it is kept.
        """
