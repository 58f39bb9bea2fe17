"""What teaches a layer: an objective of the training loop that can also say what the layer makes of its input."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nnpipe.training.objective import Objective

WEIGHTS, SAMPLES = 0, 2  # purposes of generators; the loop's own is 1; see nnpipe.training.seeds
VISIBLE_MEAN_BOUND = 0.001  # a unit that never changes would have an infinite bias, and never learn to change


class LayerObjective(Objective, Protocol):
    """An objective whose module's parameters are the layer.

    module: its parameters are ``weight`` (hidden, visible), ``bias`` (hidden,), ``visible_bias`` (visible,) and what
        else the method learns; x is (batch, ...) of whatever shape, flattened to (batch, visible).
    """

    def represent(self, x: Tensor) -> Tensor:
        """The hidden activations of x, (batch, hidden): what the next layer sees."""


def logit_bias(mean: Tensor) -> Tensor:
    """log(p / (1 - p)): biases from which sigmoid units have these means (Hinton 2010, section 8.1)."""
    return mean.logit(eps=VISIBLE_MEAN_BOUND)
