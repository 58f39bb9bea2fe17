"""The restricted Boltzmann machine as a spec says it, trained as Hinton's guide (2010) tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from nnpipe.errors import StageError
from nnpipe.models.activations import Activation
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ShapeError
from nnpipe.pretraining.joint_rbm import check_joint, joint_objective
from nnpipe.pretraining.likelihood import Likelihood
from nnpipe.pretraining.method import Method
from nnpipe.pretraining.sparsity import Sparsity
from nnpipe.spec import Switch, problem
from nnpipe.training.gibbs_steps import GibbsSteps
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    from nnpipe.pretraining.objective import LayerObjective, Visible
    from nnpipe.pretraining.samplers.sampler import Sampler
    from nnpipe.pretraining.units.units import Units

CHAINS, TEMPERATURES = 100, 10
ADDED_UP = 1e-3  # how far from 1 the means of a softmax group may be rounded
LEAST_DEVIATION = 0.1  # of the root mean square deviation of all visible units
HiddenActivation = Literal["sigmoid", "linear", "relu", "softmax"]
VisibleKind = Literal["bernoulli", "gaussian", "softmax"]


class Rbm(Method):
    """A machine of visible and hidden units; the kind of the hidden ones follows from the layer's activation.

    sigmoid: binary. linear: gaussian with variance 1. relu: noisy rectified (Nair & Hinton 2010). softmax: a group of
    which one is on.

    A ``classification_rbm`` is taught as a machine whose visible units are binary ones and a group for the label.

    First weights are the guide's, N(0, 0.01), whatever ``init`` the layer has. Weights multiply visible values as they
    are, so that the layer of the network sums what hidden units sum. Gaussian units want learning rates of a tenth to a
    hundredth of those of binary ones, and data of ``scaling: standard`` (guide, section 13.2).
    """

    has_loss: ClassVar[bool] = False  # contrastive divergence follows no function (Sutskever & Tieleman 2010)
    teaches: ClassVar[tuple[str, ...]] = ("dense", "classification_rbm")
    kind: Literal["rbm"] = "rbm"
    visible: Literal["auto", VisibleKind] = Field(
        "auto",
        description="Visible units. auto: bernoulli for data and over sigmoid layers, softmax over softmax layers, "
        "gaussian over others. bernoulli reads values from 0 to 1 as probabilities, softmax values that add up to 1.",
    )
    variance: Literal["fixed", "learned"] = Field(
        "fixed",
        description="Of gaussian visible units, one each: the training examples' (and at least a hundredth of the mean "
        "over units), or learned from there on.",
    )
    sampler: Literal["cd", "pcd", "parallel_tempering"] = Field(
        "cd",
        description="Where chains start: at the examples of the batch (cd), or where they last stood (pcd), those at "
        "several temperatures (parallel_tempering).",
    )
    steps: GibbsSteps = Field(
        1,
        description="Gibbs steps between two updates of the weights; or [[epoch, steps], ...], each from then on.",
    )
    chains: int | None = Field(
        None, ge=1, description=f"How many persistent chains, at each temperature; left out: {CHAINS}. Not for cd."
    )
    temperatures: int | None = Field(
        None, ge=2, description=f"How many; left out: {TEMPERATURES}. Only for parallel_tempering."
    )
    weight_decay: float = Field(0.0002, ge=0, description="L2 penalty on weights, not on biases.")
    sparsity: Sparsity | None = Field(None, description="How often sigmoid hidden units are to be on.")
    likelihood: Annotated[Likelihood | None, Switch()] = Field(
        None, description="Whether, and how, the log-likelihood is measured at the end: true, or its options."
    )

    @model_validator(mode="after")
    def _check_chains(self) -> Rbm:
        if self.chains is not None and self.sampler == "cd":
            raise problem(
                "only persistent chains have a number",
                path=("chains",),
                expected="chains left out, or sampler pcd or parallel_tempering",
                found="sampler cd",
                hint="with cd there is one chain for each example of the batch",
            )
        if self.temperatures is not None and self.sampler != "parallel_tempering":
            raise problem(
                "only parallel tempering has several temperatures",
                path=("temperatures",),
                expected="temperatures left out, or sampler parallel_tempering",
                found=f"sampler {self.sampler}",
            )
        return self

    @model_validator(mode="after")
    def _check_variance(self) -> Rbm:
        if self.variance == "learned" and self.visible not in ("auto", "gaussian"):
            raise problem(
                "only gaussian visible units have a variance",
                path=("variance",),
                expected="variance left out, or visible gaussian",
                found=f"visible {self.visible}",
            )
        return self

    def visible_kind(self, below: Activation | None) -> VisibleKind:
        """What visible units are. ``below``: the activation that their values leave; None: data."""
        if self.visible != "auto":
            return self.visible
        if below == "softmax":
            return "softmax"
        return "bernoulli" if below in (None, "sigmoid") else "gaussian"

    def reads_probabilities(self, below: Activation | None) -> bool:
        return self.visible_kind(below) != "gaussian"

    def visible_activation(self, below: Activation | None) -> Activation:
        activations: dict[VisibleKind, Activation] = {
            "bernoulli": "sigmoid",
            "gaussian": "linear",
            "softmax": "softmax",
        }
        return activations[self.visible_kind(below)]

    def needs_labels(self, layer: Dense | ClassificationRbm) -> bool:
        return isinstance(layer, ClassificationRbm)

    def check(self, layer: Dense | ClassificationRbm) -> None:
        if isinstance(layer, ClassificationRbm):
            check_joint(self)
            return
        activation = layer.activation
        if activation not in get_args(HiddenActivation):
            raise ShapeError(
                f"an rbm has no hidden units with activation {activation}",
                expected=f"activation {', '.join(get_args(HiddenActivation)[:-1])} or softmax",
                found=f"activation {activation}",
                hint="set activation: sigmoid, or pretrain with {kind: autoencoder}",
            )
        if self.sparsity and activation != "sigmoid":
            raise ShapeError("a sparsity target is of binary units", expected="activation sigmoid", found=activation)
        if activation == "relu" and (self.likelihood or self.sampler == "parallel_tempering"):
            raise ShapeError(
                "rectified hidden units have no energy to compare states by",
                expected="activation sigmoid, linear or softmax",
                found="activation relu",
                hint="leave likelihood out, and take sampler cd or pcd",
            )

    def objective(
        self,
        layer: Dense | ClassificationRbm,
        below: Activation | None,
        visible: Visible,
        seed: int,
        precision: Precision = "float32",
    ) -> LayerObjective:
        """As the method says.

        Raises:
            StageError: values of a softmax group do not add up to 1, or the data have other classes than the layer.
        """
        from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
        from nnpipe.pretraining.contrastive_divergence import ContrastiveDivergence, Rule

        if isinstance(layer, ClassificationRbm):
            chains = (self.chains or CHAINS) if self.sampler == "pcd" else 0
            return joint_objective(self, layer, visible, seed, chains, precision)
        units, hidden = self._visible_units(below, visible), _hidden_units(layer.activation)
        machine = BoltzmannMachine(len(visible.mean), layer.units, units, hidden)
        rule = Rule(self.steps, self.weight_decay, self.sparsity, self.likelihood, precision)
        return ContrastiveDivergence(machine, visible, seed, self._sampler(), rule)

    def _visible_units(self, below: Activation | None, visible: Visible) -> Units:
        from nnpipe.pretraining.units.bernoulli import Bernoulli
        from nnpipe.pretraining.units.gaussian import Gaussian
        from nnpipe.pretraining.units.softmax import Softmax

        kind = self.visible_kind(below)
        if kind == "gaussian":
            return Gaussian(_log_variance(visible, learned=self.variance == "learned"))
        total = visible.mean.sum().item()
        if kind == "softmax" and abs(total - 1) > ADDED_UP:
            raise StageError(
                "softmax visible units are one group, of which one is on",
                where="pretrain.method.visible",
                expected="values of each example that add up to 1",
                found=f"values that add up to {total:g} on average",
                hint="leave visible out",
            )
        return Softmax() if kind == "softmax" else Bernoulli()

    def _sampler(self) -> Sampler:
        from nnpipe.pretraining.samplers.contrastive import Contrastive
        from nnpipe.pretraining.samplers.parallel_tempering import ParallelTempering
        from nnpipe.pretraining.samplers.persistent import Persistent

        if self.sampler == "cd":
            return Contrastive()
        chains = self.chains or CHAINS
        if self.sampler == "pcd":
            return Persistent(chains)
        return ParallelTempering(chains, self.temperatures or TEMPERATURES)


def _hidden_units(activation: Activation) -> Units:
    from nnpipe.pretraining.units.bernoulli import Bernoulli
    from nnpipe.pretraining.units.gaussian import Gaussian
    from nnpipe.pretraining.units.rectified import Rectified
    from nnpipe.pretraining.units.softmax import Softmax

    kinds: dict[str, type[Units]] = {"sigmoid": Bernoulli, "linear": Gaussian, "relu": Rectified, "softmax": Softmax}
    return kinds[activation]()


def _log_variance(visible: Visible, learned: bool) -> Any:
    # The data's own variance is that of units scaled to variance 1 (guide, section 13.2). A unit that hardly changes
    # would count every small surprise a thousandfold; where nothing changes, any noise will do.
    usual = visible.deviation.square().mean().sqrt()
    deviation = visible.deviation.clamp(min=LEAST_DEVIATION * usual) if usual > 0 else visible.deviation + 1
    from torch import nn

    return nn.Parameter(deviation.cpu().log() * 2, requires_grad=learned)
