"""Blocks of neighbours in any order, shuffled a few blocks at a time: an epoch reads a file about once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.shuffles.shuffle import Shuffle

if TYPE_CHECKING:
    from torch import Generator, Tensor

BLOCK_BYTES = 4 << 20  # the chunks of a zarr file of the store are as large


class Blocks(Shuffle):
    """As many blocks as ``buffer`` says are drawn, and their examples shuffled together; then the next ones.

    Neighbours meet in a batch more often than others, so data that are kept in order of their classes need a large
    buffer. Where all blocks fit into one, all orders are equally likely.
    """

    kind: Literal["blocks"] = "blocks"
    buffer: int = Field(16, ge=1, description="Blocks whose examples are shuffled together.")
    block: int | None = Field(
        None, ge=1, description="Neighbours that stay together; left out: as many examples as 4 MiB hold, as kept."
    )

    def order(self, count: int, row_bytes: int, draws: Generator) -> Tensor:
        import torch

        size = self.block or max(1, BLOCK_BYTES // row_bytes)
        blocks = torch.randperm(-(-count // size), generator=draws)
        found = []
        for together in blocks.split(self.buffer):  # type: ignore[no-untyped-call]
            rows = (together[:, None] * size + torch.arange(size)).flatten()
            rows = rows[rows < count]
            found.append(rows[torch.randperm(len(rows), generator=draws)])
        return torch.cat(found)
