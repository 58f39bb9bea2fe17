"""What every optimizer offers: its options in a spec, and the torch optimizer they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnpipe.spec import Part

if TYPE_CHECKING:
    import torch
    from torch import nn


class Optimizer(Part):
    """A way to make an objective small. The training loop hands its ``step`` a closure, always."""

    kind: str

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """A torch optimizer of ``parameters``; its whole state is in its ``state_dict``."""
