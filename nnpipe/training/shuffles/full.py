"""All orders are equally likely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nnpipe.training.shuffles.shuffle import Shuffle

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Full(Shuffle):
    """A permutation of all examples."""

    kind: Literal["full"] = "full"

    def order(self, count: int, row_bytes: int, draws: Generator) -> Tensor:
        import torch

        return torch.randperm(count, generator=draws)
