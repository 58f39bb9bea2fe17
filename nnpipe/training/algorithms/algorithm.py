"""What every algorithm offers: checks when planning, and the objective whose gradient it fills in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples
    from nnpipe.training.losses.loss import Loss
    from nnpipe.training.objective import Objective
    from nnpipe.training.precision import Precision
    from nnpipe.training.train import Train


@dataclass(frozen=True)
class Learning:
    """What is known when learning begins.

    network: to be trained, with its first weights or pretrained ones.
    loss: with everything known that the training examples tell.
    examples: to train on.
    pretrained: the tensors of each pretrained layer, from the first.
    """

    network: Network
    loss: Loss
    precision: Precision
    examples: Examples
    pretrained: Iterable[Mapping[str, np.ndarray]]
    seed: int


class Algorithm(Part):
    """A way to find the gradient of a network that learns from labels or numbers. Optimizers do the steps.

    needs_float32: whether it has no other precision.
    shares: whether several processes can compute one batch, each some of its examples.
    """

    needs_float32: ClassVar[bool] = False
    shares: ClassVar[bool] = False
    kind: str

    def check(self, train: Train) -> None:
        """Refuse settings that it has no use for.

        Raises:
            PydanticCustomError: its path starts at ``train``.
        """

    def check_model(self, model: Model) -> None:
        """Refuse a network that it cannot train.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``train``.
        """

    @abstractmethod
    def objective(self, learning: Learning) -> Objective:
        """What the training loop makes small; ``learning.network`` is its module, or in it."""

    def kept(self, objective: Objective) -> Mapping[str, nn.Module]:
        """What was learned besides the network, by the name of the file that it is kept in."""
        return {}
