"""Values made 0 or 1 while a source is read, as the likelihoods of binary machines want them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from nnpipe.datasets.sources.source import Block, Opened
from nnpipe.errors import DataError

Binary = Literal["sample", "threshold"]
TICK = 4  # numbers that the generator gives for each step of its counter


def made_binary(opened: Opened, how: Binary, seed: int) -> Opened:
    """``opened`` with examples of 0 and 1, uint8.

    threshold: 1 above the middle of the range. sample: 1 with the value, scaled to 0..1, as its probability, drawn once
    and for all (as Salakhutdinov & Murray 2008 took MNIST); an example's draws are its own, wherever reading begins.

    Raises:
        DataError: the values are not bounded.
    """
    if opened.value_range is None:
        raise DataError(
            "values without bounds cannot be made binary",
            where="data.binary",
            expected="data whose range is known, such as images of bytes",
            found=f"values of dtype {opened.dtype}",
            hint="leave binary out",
        )
    low, high = opened.value_range
    order = {split: number for number, split in enumerate(opened.splits)}

    def blocks(split: str, first: int = 0) -> Iterator[Block]:
        for x, y in opened.blocks(split, first):
            values = (x.astype(np.float64) - low) / (high - low)
            limit = 0.5 if how == "threshold" else _draws(x.shape, seed, order[split], first)
            yield (values > limit).astype(np.uint8), y
            first += len(x)

    return replace(opened, dtype=np.dtype(np.uint8), value_range=(0.0, 1.0), blocks=blocks)


def _draws(shape: tuple[int, ...], seed: int, split: int, first: int) -> np.ndarray:
    """Numbers from 0 up to 1, those of row ``first`` and the rows after it."""
    values = math.prod(shape[1:])
    ticks = -(-values // TICK)  # of the counter, for a row
    generator = np.random.Philox(np.random.SeedSequence([seed, split])).advance(first * ticks)
    drawn = generator.random_raw(shape[0] * ticks * TICK).reshape(shape[0], -1)[:, :values]
    return ((drawn >> np.uint64(11)) * 2.0**-53).reshape(shape)
