"""What teaches a layer: an objective of the training loop that can also say what the layer makes of its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Protocol, runtime_checkable

from torch import Tensor

from nnpipe.models.layers.layer import Shape
from nnpipe.training.examples import Examples
from nnpipe.training.objective import Objective

WEIGHTS, SAMPLES = 0, 2  # purposes of generators; the loop's own is 1; see nnpipe.training.seeds
SOME = 500  # training examples that a method can keep looking at
VISIBLE_MEAN_BOUND = 0.001  # a unit that never changes would have an infinite bias, and never learn to change


@dataclass(frozen=True)
class Visible:
    """What a layer sees of the training examples; tensors are on the device that computes.

    shape: of one example, (features,) or (channels, height, width).
    mean, deviation: of each unit over the examples, flattened: (units,) float32.
    classes: how many there are; 0 where examples have no labels, or numbers in their place.
    count: how many examples there are.
    some: the first of them, at most ``SOME``, flattened: (examples, units).
    """

    shape: Shape
    mean: Tensor
    deviation: Tensor
    classes: int = 0
    count: int = 0
    some: Tensor | None = None


class LayerObjective(Objective, Protocol):
    """An objective whose module's parameters are the layer.

    module: its parameters are ``weight`` and ``bias`` of the layer; ``visible_bias``, (features,) or (channels,), where
        there is a way back; and what else the method learns. x is (batch, ...) of whatever shape, as a dense layer sees
        (batch, visible) anyway.
    """

    def represent(self, x: Tensor) -> Tensor:
        """The hidden activations of x, (batch, hidden) or (batch, filters, rows, columns): what the next layer sees."""


@runtime_checkable
class Concluding(Protocol):
    """An objective that has something to tell of the layer when it has learned."""

    def conclude(self, splits: Mapping[str, Examples], stopping: Event) -> dict[str, float]:
        """Measures of the whole; none where nothing was asked for. splits: ``train`` and others, as it learned them.

        Raises:
            Interrupted: ``stopping`` was set.
        """


def logit_bias(mean: Tensor) -> Tensor:
    """log(p / (1 - p)): biases from which sigmoid units have these means (Hinton 2010, section 8.1)."""
    return mean.logit(eps=VISIBLE_MEAN_BOUND)
