"""The objective of learning numbers."""

from __future__ import annotations

from torch import Tensor

from nnpipe.training.supervised import Supervised


class Regression(Supervised):
    """Fits scaled numbers, (batch, targets); measures ``loss``, of scaled numbers, and ``mean_absolute_error``.

    mean_absolute_error: in the data's units, averaged over targets.
    """

    def _measures(self, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
        scale = y.new_tensor(self.module.target_scaling.scale)
        return {"mean_absolute_error": ((self.module.outputs(logits) - y).abs() * scale).mean(1).sum()}
