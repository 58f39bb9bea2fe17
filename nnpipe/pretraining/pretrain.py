"""Pretraining as a spec says it: how many layers, each learned from what the layer below makes of the data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from nnpipe.models.architecture import Model
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.layer import ShapeError
from nnpipe.pretraining import AnyMethod
from nnpipe.pretraining.method import Method
from nnpipe.spec import Part, Shorthand, problem
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.optimizer import Optimizer, check_schedules
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.schedules import AnySchedule

PROBABILITIES = ("sigmoid", "softmax")  # activations between 0 and 1
HINTS = {
    "activation": "give the dense layer below its activation: a layer is pretrained with it",
    "batch_norm": "put batch_norm behind the layers to pretrain: each learns from what the one below gives, unscaled",
}


class Pretrain(Part):
    """How the first layers learn without labels, greedily: one at a time, from the first (Hinton et al. 2006)."""

    method: Annotated[AnyMethod, Shorthand()]
    layers: int | None = Field(
        None, ge=1, description="How many dense layers, counted from the input; left out: all but the last."
    )
    epochs: int = Field(10, ge=1, description="Times that every training example is seen, for each layer.")
    batch_size: int = Field(100, ge=1, description="Examples between two steps of the optimizer.")
    optimizer: Annotated[AnyOptimizer, Shorthand()] = Sgd(learning_rate=0.1, momentum=0.9)
    schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the learning rate goes; left out: it stays."
    )
    momentum_schedule: Annotated[AnySchedule, Shorthand()] | None = Field(
        None, description="How the momentum goes, such as {kind: piecewise, points: [[0, 0.5], [5, 0.9]]}."
    )

    @model_validator(mode="after")
    def _check_optimizer(self) -> Pretrain:
        check_optimizer(self.method, self.optimizer)
        check_schedules(self.optimizer, self.schedule, self.momentum_schedule)
        return self

    def check(self, model: Model) -> None:
        """Refuse a network whose first layers cannot be pretrained so.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``pretrain``.
        """
        below: Dense | None = None
        for index, layer in zip(pretrained_layers(model, self), self.dense_layers(model), strict=True):
            try:
                self.method.check(layer)
                self._check_below(below)
            except ShapeError as error:
                raise _problem_at(index, error) from error
            below = layer

    def dense_layers(self, model: Model) -> list[Dense]:
        """The layers to pretrain, from the first. Raises as ``pretrained_layers`` does."""
        return [layer for i in pretrained_layers(model, self) if isinstance(layer := model.layers[i], Dense)]

    def _check_below(self, below: Dense | None) -> None:
        if below and self.method.reads_probabilities(below.activation) and below.activation not in PROBABILITIES:
            raise ShapeError(
                f"pretraining by {self.method.kind} needs inputs from 0 to 1",
                expected="activation sigmoid in the layer below",
                found=f"activation {below.activation}",
                hint="{kind: autoencoder, loss: mean_squared_error} takes any inputs",
            )


def pretrained_layers(model: Model, pretrain: Pretrain) -> list[int]:
    """Places in ``model.layers`` of the layers to pretrain, from the first; flatten and dropout are passed over.

    Raises:
        PydanticCustomError: there are too few layers, or one of them is not dense.
    """
    places: list[int] = []
    wanted = pretrain.layers or max(1, sum(isinstance(layer, Dense) for layer in model.layers) - 1)
    for index, layer in enumerate(model.layers):
        if len(places) == wanted:
            break
        if isinstance(layer, Dense):
            places.append(index)
        elif not isinstance(layer, Flatten | Dropout):
            raise problem(
                "only dense layers can be pretrained, from the input on",
                path=("model", "layers", index),
                expected=f"a dense layer, as pretrain.layers is {wanted}",
                found=f"layer {layer.kind}",
                hint=HINTS.get(layer.kind, "leave pretrain out, or make the first layers dense"),
            )
    if len(places) < wanted:
        raise problem(
            "more layers to pretrain than the network has",
            path=("pretrain", "layers"),
            expected=f"at most {len(places)}",
            found=str(wanted),
        )
    return places


def check_optimizer(method: Method, optimizer: Optimizer) -> None:
    """Refuse an optimizer that cannot train one layer alone, or needs of the objective what ``method``'s has not.

    Raises:
        PydanticCustomError: with the path of the optimizer.
    """
    what = None
    if optimizer.needs_residuals:
        what = f"{optimizer.kind} needs residuals, and pretraining has none"
    elif optimizer.needs_depth:
        what = f"{optimizer.kind} is for hidden layers, and pretraining sees one layer at a time"
    elif optimizer.needs_value and not method.has_loss:
        what = f"{optimizer.kind} compares values of an objective, and {method.kind} has none"
    if what:
        raise problem(
            what,
            path=("optimizer",),
            expected="sgd, adam, adamw or rmsprop",
            found=optimizer.kind,
            hint="the guide's choice is {kind: sgd, learning_rate: 0.1, momentum: 0.9}",
        )


def _problem_at(index: int, error: ShapeError) -> Any:
    path = ("model", "layers", index)
    return problem(error.what, path=path, expected=error.expected, found=error.found, hint=error.hint)
