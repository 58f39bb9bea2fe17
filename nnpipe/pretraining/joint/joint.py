"""What every way for layers to learn together offers: checks when planning, and the objective that teaches them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from nnpipe.pretraining.method import Method
from nnpipe.spec import Part, Shorthand, problem
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.optimizer import check_schedules
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.schedules import AnySchedule
from nnpipe.training.shuffles import AnyShuffle
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import ORDER

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.pretraining.joint.joint_objective import JointObjective
    from nnpipe.pretraining.pretrain import StackedLayer
    from nnpipe.training.examples import Examples


class Joint(Part):
    """A way for layers that were pretrained one at a time to learn on together, and by what steps."""

    kind: str
    epochs: int = Field(10, ge=1, description="Times that every training example is seen.")
    batch_size: int = Field(100, ge=1, description="Examples between two steps of the optimizer.")
    shuffle: AnyShuffle = Field(Full(), description=ORDER)
    optimizer: Annotated[AnyOptimizer, Shorthand()] = Sgd(learning_rate=0.005)
    schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the learning rate goes; left out: it stays."
    )
    momentum_schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the momentum goes; left out: it stays."
    )

    @model_validator(mode="after")
    def _check_optimizer(self) -> Joint:
        optimizer = self.optimizer
        if optimizer.needs_value or optimizer.needs_residuals or optimizer.needs_depth:
            raise problem(
                f"{optimizer.kind} has no use for what {self.kind} gives: a direction, and no function of the weights",
                path=("optimizer",),
                expected="sgd, adam, adamw or rmsprop",
                found=optimizer.kind,
            )
        check_schedules(optimizer, self.schedule, self.momentum_schedule)
        return self

    @abstractmethod
    def greedy(self, method: Method, number: int, count: int) -> Method:
        """How layer ``number`` of ``count``, from 1, learns alone before, where the spec says ``method``."""

    @abstractmethod
    def check(self, layers: Sequence[StackedLayer]) -> None:
        """Refuse layers that cannot learn together so; their methods are what ``greedy`` made of them.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``pretrain``.
        """

    @abstractmethod
    def objective(
        self,
        layers: Sequence[Mapping[str, np.ndarray]],
        examples: Examples,
        seed: int,
        precision: Precision = "float32",
    ) -> JointObjective:
        """What the training loop makes small. layers: the tensors of each, as it learned alone.

        precision: of the products of a learning step.
        """
