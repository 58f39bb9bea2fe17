"""The autoencoder as a spec says it: one hidden layer that has to undo a corruption of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.method import Method
from nnpipe.spec import problem

if TYPE_CHECKING:
    from nnpipe.pretraining.denoising import Denoising
    from nnpipe.pretraining.objective import Visible

Corruption = Literal["masking", "gaussian", "salt_and_pepper"]
ReconstructionLoss = Literal["cross_entropy", "mean_squared_error"]


class Autoencoder(Method):
    """A denoising autoencoder (Vincent et al. 2010); with ``level: 0`` a plain one."""

    has_loss: ClassVar[bool] = True
    kind: Literal["autoencoder"] = "autoencoder"
    corruption: Corruption = Field("masking", description="What is done to the input before it is encoded.")
    level: float = Field(
        0.3, ge=0, description="Fraction of values that are corrupted; of gaussian, its standard deviation."
    )
    tied: bool = Field(True, description="Whether the decoder's weights are the encoder's, transposed.")
    loss: ReconstructionLoss = Field(
        "cross_entropy", description="What compares; cross_entropy decodes with sigmoid units, the other with linear."
    )

    @model_validator(mode="after")
    def _check_level(self) -> Autoencoder:
        if self.level > 1 and self.corruption != "gaussian":
            raise problem(
                f"{self.corruption} corrupts a fraction of the values",
                path=("level",),
                expected="a number from 0 to 1",
                found=str(self.level),
            )
        return self

    def reads_probabilities(self, below: Activation | None) -> bool:
        return self.loss == "cross_entropy"

    def check(self, layer: Dense) -> None:
        """Every dense layer can encode."""

    def objective(self, layer: Dense, below: Activation | None, visible: Visible, seed: int) -> Denoising:
        from nnpipe.pretraining.denoising import Denoising

        return Denoising(layer, visible.mean, seed, self.corruption, self.level, self.tied, self.loss)
