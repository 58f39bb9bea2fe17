"""The orders of examples: every example once, and only what is meant to matter does."""

from __future__ import annotations

import pytest
import torch

from nnpipe.spec import members
from nnpipe.store import zarr
from nnpipe.training.shuffles import AnyShuffle
from nnpipe.training.shuffles.blocks import BLOCK_BYTES, Blocks
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import Shuffle

EVERY = [*(member() for member in members(AnyShuffle)), Blocks(block=7, buffer=3), Blocks(block=1), Blocks(block=500)]


def order(shuffle: Shuffle, seed: int = 0, count: int = 100, row_bytes: int = 1000) -> torch.Tensor:
    return shuffle.order(count, row_bytes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shuffle", EVERY, ids=str)
@pytest.mark.parametrize("count", [1, 6, 100])
def test_each_example_comes_once_in_an_order_that_the_seed_tells(shuffle: Shuffle, count: int) -> None:
    found = order(shuffle, count=count)
    assert found.dtype == torch.int64
    assert sorted(found.tolist()) == list(range(count))
    assert torch.equal(found, order(shuffle, count=count))
    assert (count == 1) == torch.equal(found, order(shuffle, seed=1, count=count))


def test_the_full_shuffle_is_torchs_permutation() -> None:
    assert torch.equal(order(Full()), torch.randperm(100, generator=torch.Generator().manual_seed(0)))


def test_examples_of_a_few_blocks_come_together_and_are_mixed() -> None:
    blocks = order(Blocks(block=10, buffer=2)) // 10
    for start in range(0, 100, 20):
        together = blocks[start : start + 20].tolist()
        assert len(set(together)) == 2
        assert together not in (sorted(together), sorted(together, reverse=True))
    assert order(Blocks(block=10, buffer=1)).tolist() != list(range(100))


def test_all_orders_are_equally_likely_where_all_blocks_fit() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(1200):
        found = tuple(order(Blocks(block=2, buffer=2), seed, count=3).tolist())
        counts[found] = counts.get(found, 0) + 1
    assert len(counts) == 6
    assert all(140 < count < 260 for count in counts.values())  # 200 and five deviations


def test_a_block_is_a_chunk_of_a_zarr_file_unless_the_spec_says_how_large_it_is() -> None:
    assert BLOCK_BYTES == zarr.CHUNK_BYTES
    size = BLOCK_BYTES // 784
    found = order(Blocks(buffer=1), count=3 * size, row_bytes=784)
    assert {len(set((part // size).tolist())) for part in found.split(size)} == {1}
    assert torch.equal(order(Blocks(buffer=1, block=size), count=3 * size, row_bytes=1), found)


def test_a_row_larger_than_a_block_is_a_block() -> None:
    assert len(order(Blocks(), row_bytes=2 * BLOCK_BYTES)) == 100
