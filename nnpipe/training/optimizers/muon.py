"""Muon: momentum whose matrices are made orthogonal before each step (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.errors import StageError
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class Muon(Optimizer):
    """For the weights of hidden layers, with AdamW for everything else: "Muon: An optimizer for hidden layers".

    As its authors have it, the first and the last weights are AdamW's, and so are biases and scales; kernels of
    convolutions count as matrices of filters x everything else. Defaults are theirs. Schedules of the learning rate
    move both; of the momentum only Muon's.
    """

    needs_depth: ClassVar[bool] = True
    kind: Literal["muon"] = "muon"
    learning_rate: float = Field(0.02, gt=0, description="Times sqrt(rows / columns) of a matrix with more rows.")
    momentum: float = Field(0.95, ge=0, lt=1, description="Nesterov's, of the gradient's running mean.")
    weight_decay: float = Field(0.01, ge=0)
    adamw: AdamW = Field(
        AdamW(learning_rate=3e-4, betas=(0.9, 0.95), epsilon=1e-10), description="For the other parameters."
    )

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """As every optimizer's.

        Raises:
            StageError: there is no hidden layer.
        """
        from torch import optim

        from nnpipe.training.optimizers.muon_adamw import MuonAdamW

        everything = list(parameters)
        weights = [parameter for parameter in everything if parameter.ndim > 1]
        hidden = weights[1:-1]
        if not hidden:
            raise StageError(
                "muon is for the weights between the first and the last",
                where="train.optimizer",
                expected="a network of three layers with weights or more",
                found=f"{len(weights)}",
                hint="adamw is what muon uses for all others",
            )
        ids = {id(parameter) for parameter in hidden}
        others = self.adamw.build([parameter for parameter in everything if id(parameter) not in ids])
        assert isinstance(others, optim.AdamW)
        return MuonAdamW(hidden, others, self.learning_rate, self.momentum, self.weight_decay)
