"""What every method of pretraining offers: a check when planning, and the objective that teaches one layer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from nnpipe.models.layers.dense import Dense
from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.pretraining.objective import LayerObjective


class Method(Part):
    """A way to learn a dense layer from its inputs alone.

    has_loss: whether what it makes small has a value, as optimizers that search along a line need.
    """

    has_loss: ClassVar[bool]
    kind: str

    @property
    @abstractmethod
    def reads_probabilities(self) -> bool:
        """Whether visible values have to lie between 0 and 1."""

    @abstractmethod
    def check(self, layer: Dense) -> None:
        """Refuse a layer that this method cannot teach.

        Raises:
            ShapeError: says what it should be.
        """

    @abstractmethod
    def objective(self, layer: Dense, mean: Tensor, seed: int) -> LayerObjective:
        """What the training loop makes small, first weights and all later draws from ``seed`` alone.

        mean: (visible,) float32, of each visible unit over the training examples; on the device that computes.
        """
