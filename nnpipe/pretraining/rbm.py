"""The restricted Boltzmann machine as a spec says it, trained as Hinton's guide (2010) tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from nnpipe.models.activations import Activation
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ShapeError
from nnpipe.pretraining.method import Method
from nnpipe.spec import problem

if TYPE_CHECKING:
    from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence
    from nnpipe.pretraining.objective import Visible

CHAINS = 100


class Rbm(Method):
    """A machine of binary visible and hidden units; real values from 0 to 1 are read as probabilities.

    First weights are the guide's, N(0, 0.01), whatever ``init`` the layer has.
    """

    has_loss: ClassVar[bool] = False  # contrastive divergence follows no function (Sutskever & Tieleman 2010)
    kind: Literal["rbm"] = "rbm"
    sampler: Literal["cd", "pcd"] = Field(
        "cd", description="Where chains start: at the examples of the batch (cd), or where they last stood (pcd)."
    )
    steps: int = Field(1, ge=1, description="Gibbs steps between two updates of the weights.")
    chains: int | None = Field(None, ge=1, description=f"How many persistent chains; left out: {CHAINS}. Only for pcd.")
    weight_decay: float = Field(0.0002, ge=0, description="L2 penalty on weights, not on biases.")

    @model_validator(mode="after")
    def _check_chains(self) -> Rbm:
        if self.chains is not None and self.sampler == "cd":
            raise problem(
                "only persistent chains have a number",
                path=("chains",),
                expected="chains left out, or sampler pcd",
                found="sampler cd",
                hint="with cd there is one chain for each example of the batch",
            )
        return self

    def reads_probabilities(self, below: Activation | None) -> bool:
        return True

    def check(self, layer: Dense) -> None:
        if layer.activation != "sigmoid":
            raise ShapeError(
                "the hidden units of an rbm are sigmoid",
                expected="activation sigmoid",
                found=f"activation {layer.activation}",
                hint="set activation: sigmoid, or pretrain with {kind: autoencoder}",
            )

    def objective(self, layer: Dense, below: Activation | None, visible: Visible, seed: int) -> ContrastiveDivergence:
        from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence

        chains = (self.chains or CHAINS) if self.sampler == "pcd" else 0
        return ContrastiveDivergence(visible.mean, layer.units, seed, self.steps, self.weight_decay, chains)
