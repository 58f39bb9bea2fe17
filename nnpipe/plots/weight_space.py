"""The loss as a function of a network's weights, along lines and over planes through the space of all weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nnpipe.models.network import Network
from nnpipe.plots.picture import Subject
from nnpipe.training.losses.loss import Loss

Weights = Mapping[str, Tensor]


class WeightSpace:
    """The mean loss of ``network`` over examples x, (n, ...) scaled, with answers y, at any weights.

    trained: the weights that it has. The network itself is left as it is.
    """

    def __init__(self, network: Network, loss: Loss, x: Tensor, y: Tensor) -> None:
        self._network, self._loss, self._x, self._y = copy.deepcopy(network), loss, x, y
        self.trained: Weights = {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def loss(self, weights: Weights) -> float:
        """Infinite where numbers run over."""
        for name, parameter in self._network.named_parameters():
            parameter.copy_(weights[name])
        each = self._loss.each(self._network, self._network.logits(self._x), self._y)
        mean = float(each.double().mean())
        return mean if np.isfinite(mean) else np.inf

    def along(self, first: Weights, shares: Sequence[float]) -> np.ndarray:
        """The loss on the line from ``first``, share 0, to the trained weights, share 1, and beyond."""
        ends = [(name, first[name], trained) for name, trained in self.trained.items()]
        return np.array([self.loss({name: a + share * (b - a) for name, a, b in ends}) for share in shares])

    def over(self, right: Weights, up: Weights, steps: Sequence[float]) -> np.ndarray:
        """The loss (rows, columns) at the trained weights + column * right + row * up, for rows, columns in steps."""
        found = []
        for row in steps:
            middle = {name: weight + row * up[name] for name, weight in self.trained.items()}
            found.append([self.loss({n: w.add(right[n], alpha=c) for n, w in middle.items()}) for c in steps])
        return np.array(found)


def filter_normalised(weights: Weights, generator: torch.Generator) -> dict[str, Tensor]:
    """A random direction in which each unit's incoming weights change as fast, for their length, as any other's.

    Normal numbers, those of a filter, or of the row of a dense layer, scaled to the length of its weights; biases and
    what normalises stay as they are (Li, Xu, Taylor, Studer & Goldstein 2018, section 4). At 1 along it a filter has
    changed by as much as it is long.
    """
    direction = {}
    for name, weight in weights.items():
        drawn = torch.randn(weight.shape, generator=generator)
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        lengths, drawn_lengths = (each.flatten(1).norm(dim=1) for each in (weight, drawn))
        direction[name] = drawn * (lengths / drawn_lengths).reshape(-1, *[1] * (weight.ndim - 1))
    return direction


def answers(subject: Subject, places: np.ndarray, x: Tensor) -> Tensor:
    """What the network should say of the test examples at ``places``, as the loss reads it: x, flattened, of inputs."""
    if subject.code is not None:
        return x.flatten(1)
    truth = subject.truth[places]
    if subject.target_names:
        truth = subject.network.target_scaling.apply(truth)
    return torch.from_numpy(truth)
