"""Pretrained layers as one deep Boltzmann machine, which then learns as a whole (Salakhutdinov & Hinton 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining.doubled_rbm import DoubledRbm
from nnpipe.pretraining.joint.joint import Joint
from nnpipe.pretraining.likelihood import Likelihood
from nnpipe.pretraining.method import Method
from nnpipe.pretraining.rbm import Rbm
from nnpipe.spec import Switch, problem
from nnpipe.training.precision import Precision

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.pretraining.joint.joint_objective import JointObjective
    from nnpipe.pretraining.pretrain import StackedLayer
    from nnpipe.training.examples import Examples

OPTIONS = ("kind", "sampler", "steps", "chains", "weight_decay")  # of rbm; all others have to be left as they are


class DeepBoltzmann(Joint):
    """What hidden units do given the data comes from mean-field inference, what the machine does by itself from chains.

    Layers learn alone first, each by ``rbm``, with the corrections of section 3.1: the first with its visible units
    doubled, the last with its hidden units doubled, and those between as ever, their weights halved afterwards.

    The network starts from the machine's weights as it hears data alone: all but the last layer's weights count twice,
    in place of the layer above, which a network has not. (In the paper what mean-field inference finds of the second
    layer is a further input of the network; here it is not.)
    """

    kind: Literal["deep_boltzmann_machine"] = "deep_boltzmann_machine"
    mean_field_steps: int = Field(10, ge=1, description="Of inference, each of all hidden layers, for each batch.")
    gibbs_steps: int = Field(5, ge=1, description="Of the chains, between two updates of the weights.")
    chains: int = Field(100, ge=1, description="How many persistent Gibbs chains; they start near training examples.")
    weight_decay: float = Field(0.0002, ge=0, description="L2 penalty on weights, not on biases.")
    likelihood: Annotated[Likelihood | None, Switch()] = Field(
        None, description="Whether, and how, a lower bound of the log-likelihood is measured at the end."
    )

    def greedy(self, method: Method, number: int, count: int) -> Method:
        if not isinstance(method, Rbm) or 1 < number < count:
            return method
        return DoubledRbm(doubled="visible" if number == 1 else "hidden", rbm=method)

    def check(self, layers: Sequence[StackedLayer]) -> None:
        if len(layers) < 2:
            raise problem(
                "a deep Boltzmann machine has at least two hidden layers",
                path=("pretrain", "joint"),
                expected="two or more layers to pretrain",
                found="one",
                hint="one alone is a restricted Boltzmann machine: {kind: rbm, sampler: pcd}, and no joint",
            )
        for each in layers:
            method = each.settings.method
            if wrong := _layer_mistake(each):
                raise problem(
                    "a deep Boltzmann machine has layers of binary units, and nothing between them",
                    path=("model", "layers", each.index),
                    expected="a dense layer with activation sigmoid, and at most dropout before it",
                    found=wrong,
                )
            if wrong := _method_mistake(method.rbm if isinstance(method, DoubledRbm) else method):
                raise problem(
                    "layers of a deep Boltzmann machine learn before as restricted ones of binary units",
                    path=("pretrain", "method"),
                    expected=f"method rbm with no options but {', '.join(OPTIONS[1:])}, sampler cd or pcd",
                    found=wrong,
                )

    def objective(
        self,
        layers: Sequence[Mapping[str, np.ndarray]],
        examples: Examples,
        seed: int,
        precision: Precision = "float32",
    ) -> JointObjective:
        from nnpipe.models.deep_boltzmann_machine import DeepBoltzmannMachine
        from nnpipe.pretraining.variational_learning import VariationalLearning

        return VariationalLearning(DeepBoltzmannMachine.composed(layers), examples, seed, self, precision)


def _layer_mistake(each: StackedLayer) -> str | None:
    layer = each.layer
    if not isinstance(layer, Dense) or layer.activation != "sigmoid":
        return f"layer {layer.kind} with activation {layer.activation}"
    return f"layer {each.between[0].kind} before it" if each.between else None


def _method_mistake(method: Method) -> str | None:
    if not isinstance(method, Rbm):
        return f"method {method.kind}"
    changed: dict[str, Any] = method.model_dump(exclude_defaults=True, exclude=set(OPTIONS))
    changed |= {"sampler": method.sampler} if method.sampler == "parallel_tempering" else {}
    return next((f"method rbm with {name}: {value}" for name, value in changed.items()), None)
