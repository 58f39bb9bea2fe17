"""What every method of pretraining offers: a check when planning, and the objective that teaches one layer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from nnpipe.models.activations import Activation
from nnpipe.spec import Part
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    from nnpipe.pretraining.objective import LayerObjective, Visible


class Method(Part):
    """A way to learn one layer from its inputs.

    has_loss: whether what it makes small has a value, as optimizers that search along a line need.
    teaches: kinds of layers; ``check`` and ``objective`` are handed no others.
    """

    has_loss: ClassVar[bool]
    teaches: ClassVar[tuple[str, ...]] = ("dense",)
    kind: str

    @abstractmethod
    def reads_probabilities(self, below: Activation | None) -> bool:
        """Whether visible values have to lie between 0 and 1. ``below``: the activation that they leave; None: data."""

    def visible_activation(self, below: Activation | None) -> Activation:
        """What turns the sums of visible units into values, on the way back from the layer."""
        return "sigmoid" if self.reads_probabilities(below) else "linear"

    def needs_labels(self, layer: Any) -> bool:
        """Whether the layer's examples come to its objective with their labels."""
        return False

    @abstractmethod
    def check(self, layer: Any) -> None:
        """Refuse a layer that this method cannot teach.

        Raises:
            ShapeError: says what it should be.
        """

    @abstractmethod
    def objective(
        self, layer: Any, below: Activation | None, visible: Visible, seed: int, precision: Precision = "float32"
    ) -> LayerObjective:
        """What the training loop makes small, first weights and all later draws from ``seed`` alone.

        precision: of the products of a learning step.
        """
