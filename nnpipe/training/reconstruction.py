"""The objective of an autoencoder: to give back its input."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nnpipe.training.supervised import Supervised


class Reconstruction(Supervised):
    """Fits the inputs themselves, flattened to (batch, features), whatever answers come with them.

    Measures ``loss`` and ``squared_error``, summed over the values of an example, in the network's scale.
    """

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return super().gradient(x, x.flatten(1))

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return super().measure(x, x.flatten(1))

    def residuals(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor | None) -> Tensor:
        return super().residuals(parameters, x, x.flatten(1))

    def _measures(self, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"squared_error": (self.module.outputs(logits) - y).square().sum()}
