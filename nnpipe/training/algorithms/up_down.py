"""The up-down algorithm as a spec says it: contrastive wake-sleep for a deep belief net with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import Field

from nnpipe.errors import StageError
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.models.layers.dense import Dense
from nnpipe.spec import problem
from nnpipe.training.algorithms.algorithm import Algorithm, Learning
from nnpipe.training.gibbs_steps import GibbsSteps
from nnpipe.training.losses.cross_entropy import CrossEntropy

if TYPE_CHECKING:
    from torch import nn

    from nnpipe.models.architecture import Model
    from nnpipe.training.examples import Examples
    from nnpipe.training.objective import Objective
    from nnpipe.training.train import Train
    from nnpipe.training.wake_sleep import ContrastiveWakeSleep

# Fields of ``train`` that go with backpropagation alone, and why.
ALONE = {
    "precision": "it computes in float32",
    "start": "a way down belongs to the weights of another run, and only the way up would be taken",
    "frozen_epochs": "both ways and the top machine learn together",
}


class UpDown(Algorithm):
    """Hinton, Osindero & Teh 2006, section 5 and appendix B: sigmoid layers below a ``classification_rbm``.

    The network is the way up; beside it a way down is learned, from pretrained layers where there are some, else from
    the network's weights, transposed. It is kept as ``generative`` beside the network, and samples are drawn by it.
    What is measured after each epoch, ``loss`` and ``accuracy``, is of the probabilities that free energies give; no
    function of the weights is made small, and the loss may rise. ``l1``, ``l2`` and the like hold of both ways.
    """

    needs_float32: ClassVar[bool] = True
    kind: Literal["up_down"] = "up_down"
    gibbs_steps: GibbsSteps = Field(
        3,
        description="In the top machine between the ways up and down; or [[epoch, steps], ...], each from then on.",
    )

    def check(self, train: Train) -> None:
        optimizer = train.optimizer
        if optimizer.needs_value or optimizer.needs_residuals or optimizer.needs_depth:
            raise problem(
                f"{optimizer.kind} has no use for what up_down gives: a direction, and no function of the weights",
                path=("optimizer",),
                expected="sgd, adam, adamw or rmsprop",
                found=optimizer.kind,
                hint="the paper's choice is sgd with a momentum, and a small learning rate such as 0.01",
            )
        if train.loss != CrossEntropy():
            raise problem(
                "up_down learns what makes inputs with their labels likely, whatever the loss",
                path=("loss",),
                expected="cross_entropy without options, which is measured",
                found=str(train.loss.model_dump()),
                hint="leave loss out",
            )
        for name in ALONE:
            if getattr(train, name) not in (type(train).model_fields[name].default, "auto"):  # precision: float32 here
                raise problem(
                    f"up_down has no use for {name}: {ALONE[name]}",
                    path=(name,),
                    expected=f"{name} left out",
                    found=str(getattr(train, name)),
                )

    def check_model(self, model: Model) -> None:
        *below, top = model.layers
        last = len(below)
        if not isinstance(top, ClassificationRbm) or top.activation != "softmax":
            raise problem(
                "up_down trains a deep belief net, which ends with a machine that knows labels",
                path=("model", "layers", last),
                expected="{kind: classification_rbm, hidden: ..., classes: ...}",
                found=f"layer {top.kind}" + (f" with {top.activation}" if isinstance(top, ClassificationRbm) else ""),
            )
        for index, layer in enumerate(below):
            if not isinstance(layer, Dense) or layer.activation != "sigmoid":
                raise problem(
                    "below the top of a deep belief net there are binary units",
                    path=("model", "layers", index),
                    expected="a dense layer with activation sigmoid",
                    found=f"layer {layer.kind}" + (f" with {layer.activation}" if isinstance(layer, Dense) else ""),
                    hint="a dense first layer reads images as vectors: no flatten is needed",
                )

    def objective(self, learning: Learning) -> Objective:
        """As every algorithm's. Raises StageError where inputs are not from 0 to 1."""
        from nnpipe.training.wake_sleep import ContrastiveWakeSleep

        _check_probabilities(learning.examples)
        count = len(learning.examples)
        return ContrastiveWakeSleep(learning.network, learning.pretrained, count, learning.seed, self.gibbs_steps)

    def kept(self, objective: Objective) -> Mapping[str, nn.Module]:
        return {"generative": cast("ContrastiveWakeSleep", objective).module.generative}


def _check_probabilities(examples: Examples) -> None:
    from nnpipe.training.examples import are_probabilities

    low, high = examples.extremes()
    if not are_probabilities(low, high):
        raise StageError(
            "up_down reads values as probabilities",
            where="train.algorithm",
            expected="values from 0 to 1",
            found=f"values from {low:g} to {high:g}",
            hint="set data.scaling: unit",
        )
