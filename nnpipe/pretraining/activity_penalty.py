"""A penalty on hidden activations, so that few units of many say something about an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.layers.layer import ShapeError
from nnpipe.spec import Part, problem

if TYPE_CHECKING:
    from torch import Tensor

TARGET = 0.05
BOUND = 1e-6  # means are kept so far from 0 and 1, where the divergence is infinite


class ActivityPenalty(Part):
    """What being active costs.

    kl: how far each unit's mean activation over a batch is from ``target``, as the divergence of two coins, summed over
    units (Lee, Ekanadham & Ng 2008; Ng 2011, "Sparse autoencoder", section 3). A filter is one unit, its mean is over
    places too. l1: the magnitudes of an example's activations, summed.
    """

    penalty: Literal["kl", "l1"] = Field("kl", description="kl: rarely active units; l1: few and small activations.")
    target: float | None = Field(
        None, gt=0, lt=1, description=f"Mean activation that kl asks for; left out: {TARGET}. Only for kl."
    )
    weight: float = Field(gt=0, description="What the penalty counts beside the loss, which is summed over values.")

    @model_validator(mode="after")
    def _check_target(self) -> ActivityPenalty:
        if self.penalty == "l1" and self.target is not None:
            raise problem(
                "the penalty l1 has no target: it asks for zero",
                path=("target",),
                expected="target left out, or penalty kl",
                found="penalty l1",
            )
        return self

    def check(self, activation: Activation) -> None:
        """Refuse units whose mean activation is no probability, where one is asked for.

        Raises:
            ShapeError: says what it should be.
        """
        if self.penalty == "kl" and activation != "sigmoid":
            raise ShapeError(
                "the sparsity penalty kl compares probabilities of being active",
                expected="activation sigmoid",
                found=f"activation {activation}",
                hint="{penalty: l1, weight: 0.01} takes any activation",
            )

    def cost(self, hidden: Tensor) -> Tensor:
        """``weight`` times the penalty times the batch's length, 0-d. hidden: (batch, units, ...)."""
        if self.penalty == "l1":
            return self.weight * hidden.abs().sum()
        target = self.target or TARGET
        mean = hidden.transpose(0, 1).flatten(1).mean(1).clamp(BOUND, 1 - BOUND)
        divergence = target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()
        return self.weight * len(hidden) * divergence.sum()
