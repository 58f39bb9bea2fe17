"""Backpropagation: the gradient of a loss of the network's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.training.algorithms.algorithm import Algorithm, Learning

if TYPE_CHECKING:
    from nnpipe.training.objective import Objective


class Backpropagation(Algorithm):
    """The loss's gradient by the chain rule, from the outputs to the inputs (Rumelhart, Hinton & Williams 1986)."""

    shares: ClassVar[bool] = True
    kind: Literal["backpropagation"] = "backpropagation"

    def objective(self, learning: Learning) -> Objective:
        from nnpipe.training.classification import Classification
        from nnpipe.training.reconstruction import Reconstruction
        from nnpipe.training.regression import Regression

        network = learning.network
        labelled = Classification if network.class_names else Regression
        task = labelled if network.code is None else Reconstruction
        return task(network, learning.loss, learning.precision)
