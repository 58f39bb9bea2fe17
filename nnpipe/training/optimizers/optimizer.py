"""What every optimizer offers: its options in a spec, and the torch optimizer they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from nnpipe.spec import Part, problem

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nnpipe.models.architecture import Model
    from nnpipe.models.layers.layer import Shape
    from nnpipe.training.schedules.schedule import Schedule
    from nnpipe.training.train import Train


class Optimizer(Part):
    """A way to make an objective small. The training loop hands its ``step`` a ``Batch``, always.

    needs_value: whether it compares values of the objective, and so needs one that has a value.
    needs_residuals: whether it needs an objective that is a mean of squares, and the residuals themselves.
    needs_depth: whether it tells the weights of hidden layers from the first and the last.
    """

    needs_value: ClassVar[bool] = False
    needs_residuals: ClassVar[bool] = False
    needs_depth: ClassVar[bool] = False
    kind: str

    @property
    def needs_float32(self) -> bool:
        """Whether ``precision: auto`` is float32: rounding would drown the differences of what it compares."""
        return self.needs_value or self.needs_residuals

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """A torch optimizer of ``parameters``; its whole state is in its ``state_dict``.

        It may have an attribute ``stopped``: why there is nothing left to do (one of ``history.REASONS``), or None. It
        may have a method ``thawed``, called before the first step that learns more of the parameters than the last did.
        """

    def check(self, train: Train) -> None:
        """Refuse a way to train that it cannot go.

        Raises:
            PydanticCustomError: its path starts at ``train``.
        """

    def check_model(self, model: Model, input_shape: Shape | None) -> None:
        """Refuse a network that it cannot train. input_shape: None where only the data tell.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``train``.
        """


def check_schedules(optimizer: Optimizer, learning_rate: Schedule | None, momentum: Schedule | None) -> None:
    """Refuse a schedule of what the optimizer does not have.

    Raises:
        PydanticCustomError: its path starts at the part that has ``optimizer`` and the schedules.
    """
    fields = type(optimizer).model_fields
    if learning_rate and "learning_rate" not in fields:
        raise _unscheduled(optimizer, "schedule", "learning rate")
    if momentum and not {"momentum", "betas"} & fields.keys():
        raise _unscheduled(optimizer, "momentum_schedule", "momentum")
    # torch's RMSprop has no momentum to move unless it starts with one.
    if momentum and optimizer.kind == "rmsprop" and not getattr(optimizer, "momentum", 0):
        raise problem(
            "rmsprop without momentum has none to schedule",
            path=("optimizer",),
            expected="momentum greater than 0",
            found="momentum 0",
        )


def _unscheduled(optimizer: Optimizer, field: str, quantity: str) -> Exception:
    return problem(
        f"{optimizer.kind} has no {quantity} to schedule",
        path=(field,),
        expected=f"an optimizer with a {quantity}, such as sgd",
        found=optimizer.kind,
        hint=f"leave {field} out",
    )
