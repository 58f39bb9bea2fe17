"""What every loss offers: which outputs it can be computed from, and its value for each example of a batch.

Answers y are classes, (batch,) int64, or numbers, (batch, targets) of the outputs' dtype and in the network's scale.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

from pydantic import SerializerFunctionWrapHandler, model_serializer

from nnpipe.models.activations import Activation, ActivationName
from nnpipe.models.layers.layer import ShapeError
from nnpipe.spec import Part

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.network import Network


class LossError(ShapeError):
    """It is the loss that does not fit, not the network."""


class Loss(Part):
    """A loss as a spec says it; as JSON a bare word where no option is set. torch is imported inside functions.

    needs_float32: whether ``precision: auto`` is float32: it is of distances, and a good fit's are smaller than the
        rounding of outputs.
    """

    needs_float32: ClassVar[bool] = False
    kind: str

    @abstractmethod
    def activations(self, outputs: int, classes: int) -> tuple[Activation, ...]:
        """The activations of the last layer that it can be computed from; none, where it is not for such answers.

        outputs: how many the network has, as many as the answers need.
        classes: how many there are to tell apart; 0 where the answers are numbers.
        """

    def activations_of_inputs(self) -> tuple[Activation, ...]:
        """The activations that it can be computed from where the answers are the inputs; none, where it is not."""
        return self.activations(2, 0)

    @abstractmethod
    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        """The loss of each example, (batch,); its mean is what is trained on. logits: (batch, outputs) of network."""

    def check(self, classes: int) -> None:
        """Refuse options that are not of so many classes.

        Raises:
            LossError: they are not.
        """

    def resolved(self, class_counts: Sequence[int]) -> Self:
        """The loss with everything known that the training examples tell. ``class_counts``: empty for numbers."""
        return self

    @model_serializer(mode="wrap")
    def _as_a_bare_word(self, handler: SerializerFunctionWrapHandler) -> Any:
        whole = handler(self)
        options = {name for name in type(self).model_fields if name != "kind"}
        default = all(getattr(self, name) == type(self).model_fields[name].default for name in options)
        return self.kind if default else whole


class SumOfSquares(Loss):
    """A loss that is the mean over a batch of the mean over outputs of squared residuals: for least squares methods."""

    @abstractmethod
    def residuals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(batch, outputs), smooth in ``outputs``, which are those of the network after its last activation.

        The loss is ``residuals(outputs, y).square().mean()``, in training as in measuring.
        """

    def each(self, network: Network, logits: Tensor, y: Tensor) -> Tensor:
        return self.residuals(network.outputs(logits), y).square().mean(1)


def distance_activations(outputs: int, classes: int) -> tuple[Activation, ...]:
    """What a distance of outputs to targets can be taken of: of classes probabilities, of numbers all but softmax."""
    if classes:
        return ("sigmoid",) if outputs == 1 else ("softmax", "sigmoid")
    return ("linear", *(name for name in get_args(ActivationName) if name not in ("linear", "softmax")))


def wanted_outputs(outputs: Tensor, y: Tensor) -> Tensor:
    """What outputs, (batch, n), should be: numbers as they are; of classes 1 at the right one and 0 elsewhere.

    One output for two classes should be the class itself, 0 or 1.
    """
    import torch

    if y.is_floating_point():
        return y
    wanted = y.unsqueeze(1)
    if outputs.shape[1] > 1:  # compared, as one_hot and scatter cannot be mapped over examples
        wanted = wanted == torch.arange(outputs.shape[1], device=y.device)
    return wanted.to(outputs.dtype)
