"""Supervised training as a spec says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape
from nnpipe.spec import Part, Shorthand
from nnpipe.training.algorithms import AnyAlgorithm
from nnpipe.training.algorithms.backpropagation import Backpropagation
from nnpipe.training.augmentation import AnyAugmentation
from nnpipe.training.averaging import AnyAveraging
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.losses import AnyLossOrKind
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.optimizer import check_schedules
from nnpipe.training.precision import SPEED, PrecisionOrAuto
from nnpipe.training.schedules import AnySchedule
from nnpipe.training.shuffles import AnyShuffle
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import ORDER
from nnpipe.training.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from nnpipe.training.regime import Regime


class Train(Part):
    """How the network learns from labels, or from numbers."""

    loss: AnyLossOrKind = Field(CrossEntropy(), description="What is made small.")
    algorithm: Annotated[AnyAlgorithm, Shorthand()] = Field(Backpropagation(), description="What finds the gradient.")
    optimizer: Annotated[AnyOptimizer, Shorthand()] = Adam()
    epochs: int = Field(10, ge=0, description="Times that every training example is seen; 0: first weights, looked at.")
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(
        32, description="Examples between two steps of the optimizer; 1: on-line; full: all of them."
    )
    shuffle: AnyShuffle = Field(Full(), description=ORDER)
    examples: int | None = Field(
        None,
        ge=1,
        description="Training examples to learn from, as many of each class; left out: all. Pretraining sees all.",
    )
    start: Start | None = Field(None, description="Weights of another run to start from.")
    frozen_epochs: int = Field(
        0, ge=0, description="Epochs in which layers that were pretrained, or started, stay as they are."
    )
    schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the learning rate goes; left out: it stays."
    )
    momentum_schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the momentum goes (Adam's first beta); left out: it stays."
    )
    augmentation: tuple[Annotated[AnyAugmentation, Shorthand()], ...] = Field(
        (), description="What is done to pictures before they are learned from, in order."
    )
    l1: float = Field(0, ge=0, description="What the sum of the weights' magnitudes counts in the loss.")
    l2: float = Field(0, ge=0, description="What the sum of the weights' squares counts in the loss.")
    max_norm: float | None = Field(None, gt=0, description="The largest length of one unit's incoming weights.")
    clip_norm: float | None = Field(None, gt=0, description="The largest length of a batch's whole gradient.")
    averaging: Annotated[AnyAveraging, Shorthand()] | None = Field(
        None, description="Weights averaged over steps, measured and kept in place of the last; left out: the last."
    )
    precision: PrecisionOrAuto = Field("float32", description=SPEED)
    early_stopping: EarlyStopping | None = Field(None, description="Left out: all epochs, and the last weights.")
    goal: float | None = Field(None, ge=0, description="End after the epoch whose training loss is at most this.")
    time_limit: float | None = Field(None, gt=0, description="End after the epoch in which so many seconds passed.")

    @model_validator(mode="after")
    def _check_algorithm(self) -> Train:
        self.algorithm.check(self)
        return self

    @model_validator(mode="after")
    def _check_optimizer(self) -> Train:
        self.optimizer.check(self)
        check_schedules(self.optimizer, self.schedule, self.momentum_schedule)
        return self

    def check(self, model: Model, input_shape: Shape | None) -> None:
        """Refuse a network that cannot be trained so. input_shape: None where only the data tell.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``train``.
        """
        self.algorithm.check_model(model)
        self.optimizer.check_model(model, input_shape)
        if self.start:
            self.start.layers_of(model)

    @property
    def needs_float32(self) -> str | None:
        """What of it does where ``precision`` is auto, by its kind; None: nothing."""
        parts = (self.algorithm, self.optimizer, self.loss)
        return next((part.kind for part in parts if part.needs_float32), None)

    def alone(self, model: Model) -> str | None:
        """Why one process trains ``model``, however many there are; None where they can share each batch."""
        if not self.algorithm.shares:
            return f"{self.algorithm.kind} draws for whole batches"
        if self.optimizer.needs_residuals:
            return f"{self.optimizer.kind} needs the residuals of whole batches"
        if any(layer.kind == "custom" for _, layer in model.at_any_depth()):
            return "a custom layer may draw for whole batches, or look at them"
        return None

    def regime(self, ready: Iterable[nn.Parameter] = ()) -> Regime:
        """How the training loop is to go. ready: the parameters that were pretrained, or started."""
        from nnpipe.training.freezing import Frozen
        from nnpipe.training.regime import Regime
        from nnpipe.training.regularisation import Regularisation

        return Regime(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.schedule,
            momentum=self.momentum_schedule,
            early_stopping=self.early_stopping,
            averaging=self.averaging,
            augmentation=self.augmentation,
            regularisation=Regularisation(self.l1, self.l2, self.max_norm, self.clip_norm),
            frozen=Frozen(self.frozen_epochs, tuple(ready)) if self.frozen_epochs else Frozen(),
            goal=self.goal,
            time_limit=self.time_limit,
            shuffle=self.shuffle,
        )
