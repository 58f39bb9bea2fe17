"""What a layer's first filters looked like while it learned, from before the first epoch to after the last."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnpipe.models.layers.layer import Shape

MOST_UNITS, MOST_LOOKS, MOST_VALUES = 36, 20, 2**18  # half a megabyte at most
LEAST_UNITS, LEAST_LOOKS = 4, 3  # fewer are no film
LARGEST = torch.finfo(torch.float16).max


class Snapshots(nn.Module):
    """An ``Inspector`` that keeps weights in buffers: as a part of the module that learns, it is in its checkpoints.

    filters: (looks, units, ...) float16, of the layer's first units; rows of looks to come are 0.
    looks: how often somebody looked: before the first epoch and after each.
    """

    filters: Tensor
    looks: Tensor

    def __init__(self, weight: nn.Parameter, units: int, epochs: tuple[int, ...]) -> None:
        super().__init__()
        self.epochs = epochs
        self._weight = [weight]  # in a list, so that it does not become a parameter of this module too
        shape = (len(epochs), units, *weight.shape[1:])
        self.register_buffer("filters", torch.zeros(shape, dtype=torch.float16, device=weight.device))
        self.register_buffer("looks", torch.zeros((), dtype=torch.int64))

    def weights(self) -> dict[str, list[Tensor]]:
        """Nothing: a step's change is not looked at."""
        return {}

    @torch.no_grad()
    def look(self, before: dict[str, list[Tensor]] | None = None) -> dict[str, dict[str, float]]:
        """Keep the weights if this epoch is one of ``epochs``; nothing is measured."""
        epoch = int(self.looks)
        self.looks += 1
        if epoch in self.epochs:
            units = self.filters.shape[1]
            self.filters[self.epochs.index(epoch)] = self._weight[0][:units].clamp(-LARGEST, LARGEST)
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """``weight``, (looks, units, ...), and ``epoch``, (looks,), after which it was so; 0: before the first."""
        kept = [epoch for epoch in self.epochs if epoch < int(self.looks)]
        return {"weight": self.filters[: len(kept)], "epoch": torch.tensor(kept)}


def snapshots_of(weight: nn.Parameter, visible: Shape, epochs: int) -> Snapshots | None:
    """Snapshots of a layer that sees images; None where its weights are none, or are too large to keep a few of them.

    weight: (units, inputs) of a dense layer or (filters, channels, height, width) of a convolution.
    visible: shape of an example as the layer sees it.
    """
    if len(visible) != 3 or visible[0] not in (1, 3) or (weight.ndim == 4 and weight.shape[2] == 1):
        return None
    values = weight[0].numel()
    looks = min(MOST_LOOKS, epochs + 1)
    units = max(LEAST_UNITS, min(MOST_UNITS, len(weight), MOST_VALUES // (looks * values)))
    looks = min(looks, MOST_VALUES // (units * values))
    if looks < min(LEAST_LOOKS, epochs + 1):
        return None
    return Snapshots(weight, min(units, len(weight)), spread(epochs, looks))


def spread(epochs: int, count: int) -> tuple[int, ...]:
    """``count`` of the epochs from 0 to ``epochs``, both among them, closer together at first, when most is learned."""
    chosen: list[int] = []
    for place in range(count):
        wanted = round(epochs * (place / max(count - 1, 1)) ** 2)
        chosen.append(max(wanted, chosen[-1] + 1) if chosen else wanted)
    return tuple(chosen)
