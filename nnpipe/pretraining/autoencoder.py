"""The autoencoder as a spec says it: one hidden layer that has to give its input back, or undo its corruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.corruption import Corruption
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ShapeError
from nnpipe.pretraining.activity_penalty import ActivityPenalty
from nnpipe.pretraining.method import Method
from nnpipe.spec import Part, problem
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    from nnpipe.pretraining.denoising import Denoising
    from nnpipe.pretraining.objective import Visible

ReconstructionLoss = Literal["cross_entropy", "mean_squared_error"]


class Emphasis(Part):
    """What values count in the loss, by whether they were corrupted (Vincent et al. 2010, section 4.2).

    Without it each counts 1. Full emphasis is ``uncorrupted: 0``.
    """

    corrupted: float = Field(1, ge=0, description="What a value counts that was corrupted.")
    uncorrupted: float = Field(0.5, ge=0, description="What a value counts that was left as it is.")

    @model_validator(mode="after")
    def _check_weights(self) -> Emphasis:
        if self.corrupted == self.uncorrupted == 0:
            raise problem("an emphasis on nothing", expected="one of its numbers above 0", found="0 and 0")
        return self


class Autoencoder(Method):
    """A denoising autoencoder (Vincent et al. 2010); with ``level: 0`` a plain one.

    Of a conv2d layer the decoder is the transposed convolution. Penalties are taken of what hidden units make of the
    input as the encoder sees it, corrupted.
    """

    has_loss: ClassVar[bool] = True
    teaches: ClassVar[tuple[str, ...]] = ("dense", "conv2d")
    kind: Literal["autoencoder"] = "autoencoder"
    corruption: Corruption = Field("masking", description="What is done to the input before it is encoded.")
    level: float = Field(
        0.3, ge=0, description="Fraction of values that are corrupted; of gaussian, its standard deviation."
    )
    emphasis: Emphasis | None = Field(
        None, description="What corrupted and other values count in the loss; left out: all alike."
    )
    tied: bool = Field(True, description="Whether the decoder's weights are the encoder's, transposed.")
    loss: ReconstructionLoss = Field(
        "cross_entropy", description="What compares; cross_entropy decodes with sigmoid units, the other with linear."
    )
    sparsity: ActivityPenalty | None = Field(
        None, description="What being active costs hidden units; left out: nothing."
    )
    contraction: float = Field(
        0,
        ge=0,
        description="What the encoder's squared Jacobian counts in the loss (Rifai et al. 2011); 0: nothing.",
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

    @model_validator(mode="after")
    def _check_emphasis(self) -> Autoencoder:
        if self.emphasis and (self.corruption == "gaussian" or self.level == 0):
            raise problem(
                "an emphasis tells corrupted values from others, and here all are alike",
                path=("emphasis",),
                expected="corruption masking or salt_and_pepper, and level greater than 0",
                found="gaussian, which corrupts every value" if self.level else "level 0, which corrupts none",
                hint="leave emphasis out",
            )
        return self

    def reads_probabilities(self, below: Activation | None) -> bool:
        return self.loss == "cross_entropy"

    def check(self, layer: Dense | Conv2d) -> None:
        if self.sparsity:
            self.sparsity.check(layer.activation)
        if self.contraction and layer.activation == "softmax":
            raise ShapeError(
                "contraction is of units that each have a slope of their own",
                expected="any activation but softmax",
                found="activation softmax",
                hint="leave contraction out, or take sigmoid",
            )

    def objective(
        self,
        layer: Dense | Conv2d,
        below: Activation | None,
        visible: Visible,
        seed: int,
        precision: Precision = "float32",
    ) -> Denoising:
        from nnpipe.pretraining.denoising import Denoising

        return Denoising(self, layer, visible, seed, precision)
