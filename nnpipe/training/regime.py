"""How a fit goes, whatever is learned: how long, in which batches, with which schedules, limits and averages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nnpipe.training.averaging import AnyAveraging
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.freezing import Frozen
from nnpipe.training.regularisation import Regularisation
from nnpipe.training.schedules import AnySchedule
from nnpipe.training.shuffles.full import Full
from nnpipe.training.shuffles.shuffle import Shuffle

if TYPE_CHECKING:
    import torch

    from nnpipe.training.augmentation.augmentation import Augmentation


@dataclass(frozen=True)
class Regime:
    """epochs, batch_size: the last batch of an epoch may be smaller; ``full`` is all examples.

    shuffle: the order of examples in an epoch.
    learning_rate, momentum: schedules of the optimizer's options of these names; None leaves them as they are.
    early_stopping: needs validation examples; the best epoch's weights are in the module at the end, even if it never
        stopped early.
    averaging: what validation measures, and the module has at the end, are averaged weights.
    augmentation: what is done to a batch of inputs before it is learned from, in order.
    frozen: parameters that do not change at first.
    goal: end after the epoch whose mean training loss is at most this.
    time_limit: end after the epoch in which so many seconds of training have passed.
    """

    epochs: int
    batch_size: int | Literal["full"] = 32
    learning_rate: AnySchedule | None = None
    momentum: AnySchedule | None = None
    early_stopping: EarlyStopping | None = None
    averaging: AnyAveraging | None = None
    augmentation: tuple[Augmentation, ...] = ()
    regularisation: Regularisation = field(default_factory=Regularisation)
    frozen: Frozen = field(default_factory=Frozen)
    goal: float | None = None
    time_limit: float | None = None
    shuffle: Shuffle = field(default_factory=Full)


class Scheduled:
    """The options of an optimizer that schedules move; what they are at first is the base value.

    Where parameters have several learning rates, the schedule is of the first, and the others keep their ratio to it.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, regime: Regime) -> None:
        self.optimizer, self.epochs = optimizer, regime.epochs
        self.learning_rate, self.momentum = regime.learning_rate, regime.momentum
        self._rates = [float(group["lr"]) for group in optimizer.param_groups] if regime.learning_rate else []
        self._momenta = [_momentum(group) for group in self._moved()] if regime.momentum else []

    def set(self, time: float, step: float) -> None:
        """Set them for the batch that begins at ``time`` and is ``step`` long, both in epochs."""
        if self.learning_rate:
            first = self._rates[0]
            rate = self.learning_rate.value(first, time, step, self.epochs)
            for group, base in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * (base / first)
        if self.momentum:
            for group, base in zip(self._moved(), self._momenta, strict=True):
                value = self.momentum.value(base, time, step, self.epochs)
                if "betas" in group:
                    group["betas"] = (value, group["betas"][1])
                else:
                    group["momentum"] = value

    def _moved(self) -> list[dict[str, Any]]:
        """The groups whose momentum is scheduled: those that have one; Adam's first beta counts where none has."""
        groups = self.optimizer.param_groups
        return [group for group in groups if "momentum" in group] or groups


def _momentum(group: dict[str, object]) -> float:
    betas = group.get("betas")
    return float(betas[0] if isinstance(betas, tuple) else group["momentum"])  # type: ignore[arg-type]
