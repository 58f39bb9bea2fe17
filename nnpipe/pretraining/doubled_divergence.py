"""Contrastive divergence of a machine whose hidden units are there twice."""

from __future__ import annotations

from torch import Tensor

from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence


class DoubledDivergence(ContrastiveDivergence):
    """Weights and hidden biases learn from one copy: of the exact gradient, half.

    Both copies push the same weights the same way. By learning rates that suit a machine without copies they would
    switch most hidden units off in the first epochs.
    """

    def _fill(self, v: Tensor, h: Tensor, model_v: Tensor, model_h: Tensor) -> None:
        super()._fill(v, h / 2, model_v, model_h / 2)
