"""Generators for each purpose from one seed: no two purposes draw the same numbers, none touches global state."""

from __future__ import annotations

import numpy as np
import torch


def generator(seed: int, *purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for ``purpose``, a few whole numbers such as (what, epoch), from the seed of a stage."""
    state = np.random.SeedSequence(seed, spawn_key=purpose).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]) >> 1)  # seeds are signed 64-bit numbers
