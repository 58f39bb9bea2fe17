"""A Boltzmann machine at an end of a stack that will be a deep Boltzmann machine: its outer side is there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.pretraining.method import Method
from nnpipe.pretraining.rbm import CHAINS, Rbm
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    from nnpipe.models.activations import Activation
    from nnpipe.pretraining.objective import LayerObjective, Visible


class DoubledRbm(Method):
    """What ``rbm`` becomes in the first and the last layer under ``pretrain.joint``; no spec names it.

    ``weight`` is what hidden units of the layer hear: of doubled visible units both copies. Learning rates are those of
    a machine without copies: each weight learns from one of them.

    doubled: which side is there twice.
    rbm: how it learns; units are binary, and there are no measures of likelihood and no sparsity target.
    """

    has_loss: ClassVar[bool] = False
    kind: Literal["doubled_rbm"] = "doubled_rbm"
    doubled: Literal["visible", "hidden"] = "visible"
    rbm: Rbm = Rbm()

    def reads_probabilities(self, below: Activation | None) -> bool:
        return True

    def check(self, layer: Any) -> None:
        self.rbm.check(layer)

    def objective(
        self, layer: Any, below: Activation | None, visible: Visible, seed: int, precision: Precision = "float32"
    ) -> LayerObjective:
        from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
        from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence, Rule
        from nnpipe.pretraining.doubled_divergence import DoubledDivergence
        from nnpipe.pretraining.samplers.contrastive import Contrastive
        from nnpipe.pretraining.samplers.persistent import Persistent
        from nnpipe.pretraining.units.doubled import DoubledHidden, DoubledVisible

        rbm, first = self.rbm, self.doubled == "visible"
        units = (DoubledVisible(), None) if first else (None, DoubledHidden())
        machine = BoltzmannMachine(len(visible.mean), layer.units, *units)
        sampler = Contrastive() if rbm.sampler == "cd" else Persistent(rbm.chains or CHAINS)
        # Of doubled visible units, weights are twice one copy's, and learn so already.
        learning = ContrastiveDivergence if first else DoubledDivergence
        return learning(machine, visible, seed, sampler, Rule(rbm.steps, rbm.weight_decay, precision=precision))
