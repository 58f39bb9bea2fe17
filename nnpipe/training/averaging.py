"""Weights averaged over the steps of training: smoother than the last, and often better.

Validation measures the averaged weights, and they are what training ends with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Tensor, nn


class Ema(Part):
    """average = decay average + (1 - decay) weights, after each step (Polyak & Juditsky 1992, with forgetting).

    So that the first steps do not count for long, the decay grows to its value as (1 + steps) / (10 + steps).
    """

    kind: Literal["ema"] = "ema"
    decay: float = Field(0.999, gt=0, lt=1, description="Close to 1: over about 1 / (1 - decay) steps.")

    def begins(self, time: float, epochs: int) -> bool:
        return True

    def share(self, steps: int) -> float:
        """What the newest weights count, when ``steps`` are in the average already."""
        return 1 - min(self.decay, (1 + steps) / (10 + steps))


class Swa(Part):
    """The mean of the weights after each step from ``start`` on (Izmailov et al. 2018, algorithm 1)."""

    kind: Literal["swa"] = "swa"
    start: float = Field(0.75, ge=0, lt=1, description="The part of all epochs after which averaging begins.")

    def begins(self, time: float, epochs: int) -> bool:
        return time > self.start * epochs

    def share(self, steps: int) -> float:
        return 1 / (steps + 1)


AnyAveraging = Annotated[Ema | Swa, Field(discriminator="kind")]


class Average:
    """The averaged weights of ``module`` so far. Whole numbers (counters) are those of the last step."""

    def __init__(self, averaging: Ema | Swa, module: nn.Module) -> None:
        self.averaging, self.module = averaging, module
        self.steps = 0
        self.tensors: dict[str, Tensor] = {}

    def add(self, time: float, epochs: int) -> None:
        """Take in the weights as they are. time: in epochs, at the end of the step."""
        import torch

        if not self.averaging.begins(time, epochs):
            return
        state = self.module.state_dict()
        if not self.tensors:
            self.tensors = {name: tensor.clone() for name, tensor in state.items()}
        share = self.averaging.share(self.steps)
        with torch.no_grad():
            for name, tensor in state.items():
                if tensor.is_floating_point():
                    self.tensors[name].lerp_(tensor, share)
                else:
                    self.tensors[name].copy_(tensor)
        self.steps += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has the averaged weights meanwhile."""
        if not self.tensors:
            yield
            return
        own = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.module.load_state_dict(self.tensors)
        try:
            yield
        finally:
            self.module.load_state_dict(own)
