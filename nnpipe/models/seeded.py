"""Modules that draw in training, each from a generator of its own: nothing else moves it, and a checkpoint keeps it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_GLOBAL = threading.RLock()  # torch's global generators are the whole process's


class Seeded(nn.Module):
    """A module with a ``generator``, seeded by a draw from the one it is built with."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._seed = int(torch.randint(2**62, (), generator=generator))
        self.generator = torch.Generator().manual_seed(self._seed)

    def place(self, device: torch.device) -> None:
        """Start anew with a generator on ``device``: what is random is drawn where it is used."""
        self.generator = torch.Generator(device).manual_seed(self._seed)


@contextmanager
def standing_in(generator: torch.Generator) -> Iterator[None]:
    """Let ``generator`` stand in for torch's global one, for code that knows no other; one thread at a time."""
    device = generator.device
    everybodys = torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[device.index or 0]
    with _GLOBAL:
        before = everybodys.get_state()
        everybodys.set_state(generator.get_state())
        try:
            yield
        finally:
            generator.set_state(everybodys.get_state())
            everybodys.set_state(before)
