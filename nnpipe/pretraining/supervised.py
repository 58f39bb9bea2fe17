"""Greedy supervised pretraining as a spec says it: what layerwise learning gives by itself, with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.models.activations import Activation
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.method import Method
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    from nnpipe.pretraining.discarded_output import DiscardedOutput
    from nnpipe.pretraining.objective import Visible


class Supervised(Method):
    """Each layer learns as the hidden layer of a network with one softmax layer above, which is thrown away.

    Bengio, Lamblin, Popovici & Larochelle 2007, section 4: the comparison that tells what pretraining without labels
    is worth beyond being layerwise.
    """

    has_loss: ClassVar[bool] = True
    teaches: ClassVar[tuple[str, ...]] = ("dense", "conv2d")
    kind: Literal["supervised"] = "supervised"

    def reads_probabilities(self, below: Activation | None) -> bool:
        return False

    def needs_labels(self, layer: Dense | Conv2d) -> bool:
        return True

    def check(self, layer: Dense | Conv2d) -> None:
        """Every layer with weights can be a hidden layer."""

    def objective(
        self,
        layer: Dense | Conv2d,
        below: Activation | None,
        visible: Visible,
        seed: int,
        precision: Precision = "float32",
    ) -> DiscardedOutput:
        from nnpipe.pretraining.discarded_output import DiscardedOutput

        return DiscardedOutput(layer, visible, seed, precision)
