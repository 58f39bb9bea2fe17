"""The objective of telling classes apart."""

from __future__ import annotations

from torch import Tensor

from nnpipe.models.network import classify
from nnpipe.training.supervised import Supervised


class Classification(Supervised):
    """Fits labels, (batch,) int64; measures ``loss`` and ``accuracy``, how often the network's class is right."""

    def _measures(self, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"accuracy": (classify(logits) == y).sum()}
