"""How a layer learns: the settings that all layers have in common, and those that one has for itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from nnpipe.pretraining import AnyMethod
from nnpipe.spec import Part, Shorthand, problem
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.optimizer import check_schedules
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import SPEED, PrecisionOrAuto
from nnpipe.training.schedules import AnySchedule
from nnpipe.training.shuffles import AnyShuffle
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import ORDER

SCHEDULES = ("schedule", "momentum_schedule")


class Settings(Part):
    """A method, and how long and by what steps a layer learns by it."""

    method: Annotated[AnyMethod, Shorthand()]
    epochs: int = Field(10, ge=1, description="Times that every training example is seen, for each layer.")
    batch_size: int = Field(100, ge=1, description="Examples between two steps of the optimizer.")
    shuffle: AnyShuffle = Field(Full(), description=ORDER)
    optimizer: Annotated[AnyOptimizer, Shorthand()] = Sgd(learning_rate=0.1, momentum=0.9)
    schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the learning rate goes; left out: it stays."
    )
    momentum_schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the momentum goes, such as {kind: piecewise, points: [[0, 0.5], [5, 0.9]]}."
    )

    precision: PrecisionOrAuto = Field("float32", description=SPEED)

    @model_validator(mode="after")
    def _check_optimizer(self) -> Settings:
        self.check_optimizer()
        return self

    def check_optimizer(self) -> None:
        """Refuse an optimizer that cannot train one layer alone, or needs of the objective what the method's has not.

        Raises:
            PydanticCustomError: its path starts at the settings.
        """
        method, optimizer, what = self.method, self.optimizer, None
        if optimizer.needs_residuals:
            what = f"{optimizer.kind} needs residuals, and pretraining has none"
        elif optimizer.needs_depth:
            what = f"{optimizer.kind} is for hidden layers, and pretraining sees one layer at a time"
        elif optimizer.needs_value and not method.has_loss:
            what = f"{optimizer.kind} compares values of an objective, and {method.kind} has none"
        if what:
            raise problem(
                what,
                path=("optimizer",),
                expected="sgd, adam, adamw or rmsprop",
                found=optimizer.kind,
                hint="the guide's choice is {kind: sgd, learning_rate: 0.1, momentum: 0.9}",
            )
        check_schedules(optimizer, self.schedule, self.momentum_schedule)


class OwnSettings(Part):
    """What one layer has for itself: each field that is given stands in place of the common one, as a whole.

    A schedule that is null is no schedule, whatever the others have.
    """

    method: Annotated[AnyMethod, Shorthand()] | None = Field(None, description="Left out: as the others.")
    epochs: int | None = Field(None, ge=1, description="Left out: as the others.")
    batch_size: int | None = Field(None, ge=1, description="Left out: as the others.")
    shuffle: AnyShuffle | None = Field(None, description="Left out: as the others.")
    optimizer: Annotated[AnyOptimizer, Shorthand()] | None = Field(None, description="Left out: as the others.")
    schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="Left out: as the others; null: the learning rate stays."
    )
    momentum_schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="Left out: as the others; null: the momentum stays."
    )
    precision: PrecisionOrAuto | None = Field(None, description="Left out: as the others.")

    @model_serializer(mode="wrap")
    def _given_alone(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Written down and read again, a schedule that was left out must not have become null.
        given = self.given()
        return {name: value for name, value in serialize(self).items() if name in given}

    def given(self) -> dict[str, Any]:
        """The fields that stand in place of the common ones."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return {name: value for name, value in fields.items() if value is not None or name in SCHEDULES}
