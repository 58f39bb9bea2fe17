"""Pretraining as a spec says it: how many layers, each learned from what the layer below makes of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from nnpipe.models.activations import Activation
from nnpipe.models.architecture import Model
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ActivatedLayer, Layer, ShapeError
from nnpipe.pretraining.joint import AnyJoint
from nnpipe.pretraining.settings import OwnSettings, Settings
from nnpipe.spec import Shorthand, problem

Taught = Dense | Conv2d | ClassificationRbm
PROBABILITIES = ("sigmoid", "softmax")  # activations between 0 and 1
# Layers without weights, which a stack goes through; dropout does nothing outside training.
PASSED_OVER = frozenset(
    {
        "flatten",
        "reshape",
        "dropout",
        "activation",
        "max_pool2d",
        "avg_pool2d",
        "global_max_pool2d",
        "global_average_pool2d",
    }
)
HINTS = {
    "batch_norm": "put batch_norm behind the layers to pretrain: each learns from what the one below gives, unscaled",
}


def _number(key: Any) -> int:
    number = int(key) if isinstance(key, int) or (isinstance(key, str) and key.isdecimal()) else 0
    if number < 1:
        raise problem("layers to pretrain are called by their numbers", expected="a number from 1", found=repr(key))
    return number


LayerNumber = Annotated[int, BeforeValidator(_number)]


@dataclass(frozen=True)
class StackedLayer:
    """A layer to pretrain, and what it sees.

    index: its place in ``model.layers``.
    between: the layers after the pretrained layer below, or after the data, as far as they change what it sees.
    below: the activation that what it sees has left; None: data.
    settings: those common to all layers, with its own in their place; the method as ``joint`` wants it.
    """

    index: int
    layer: Taught
    between: tuple[Layer, ...]
    below: Activation | None
    settings: Settings


class Pretrain(Settings):
    """How the first layers learn, greedily: one at a time, from the first (Hinton et al. 2006, Bengio et al. 2007)."""

    layers: int | None = Field(
        None,
        ge=1,
        description="How many layers with weights, from the input; left out: all but the last, of an encoder all.",
    )
    per_layer: dict[LayerNumber, OwnSettings] = Field(
        {}, description="What a layer has in place of the common settings, by its number: {2: {epochs: 30}}."
    )

    joint: Annotated[AnyJoint, Shorthand()] | None = Field(
        None,
        description="How the layers learn on together after that, before labels come: deep_boltzmann_machine, which "
        "also sees to it that they learn alone as it needs them; left out: not at all.",
    )

    @model_validator(mode="after")
    def _check_per_layer(self) -> Pretrain:
        for number in self.per_layer:
            try:
                self.settings(number).check_optimizer()
            except PydanticCustomError as error:
                raise _problem_under(("per_layer", str(number)), error) from error
        return self

    def settings(self, number: int) -> Settings:
        """How the layer of this number learns, from 1."""
        common = {name: getattr(self, name) for name in Settings.model_fields}
        own = self.per_layer[number].given() if number in self.per_layer else {}
        return Settings.model_construct(**(common | own))  # all of it is validated already

    def check(self, model: Model, classes: int | None = None) -> None:
        """Refuse a network whose first layers cannot be pretrained so. classes: of the data; None where only they tell.

        Raises:
            PydanticCustomError: its path starts at the spec that has ``model`` and ``pretrain``.
        """
        stack = self.stack(model)
        for number in self.per_layer:
            if number > len(stack):
                raise problem(
                    f"there is no layer {number} to pretrain",
                    path=("pretrain", "per_layer", str(number)),
                    expected=f"a number from 1 to {len(stack)}" if len(stack) > 1 else "1",
                    found=str(number),
                )
        if self.joint:
            self.joint.check(stack)
        for number, each in enumerate(stack, start=1):
            try:
                _check_layer(each)
            except ShapeError as error:
                raise _problem_at(each.index, error) from error
            if each.settings.method.needs_labels(each.layer) and classes == 0:
                raise problem(
                    f"pretraining by {each.settings.method.kind} needs labels",
                    path=self.place_of("method", number),
                    expected="data with classes",
                    found="numbers to learn",
                )

    def stack(self, model: Model) -> list[StackedLayer]:
        """The layers to pretrain, from the first. Raises as ``pretrained_layers`` does."""
        found: list[StackedLayer] = []
        start, below, places = 0, None, pretrained_layers(model, self)
        for number, index in enumerate(places, start=1):
            layer, between = model.layers[index], model.layers[start:index]
            assert isinstance(layer, Taught)
            for each in between:
                below = each.activation if isinstance(each, ActivatedLayer) else below
            settings = self.settings(number)
            if self.joint:
                method = self.joint.greedy(settings.method, number, len(places))
                settings = settings.model_copy(update={"method": method})
            found.append(StackedLayer(index, layer, _seen_through(between, layer), below, settings))
            start, below = index + 1, layer.activation
        return found

    def place_of(self, field: str, number: int) -> tuple[str, ...]:
        """Where in the spec the layer of this number has ``field`` from."""
        own = number in self.per_layer and field in self.per_layer[number].given()
        return ("pretrain", "per_layer", str(number), field) if own else ("pretrain", field)


def pretrained_layers(model: Model, pretrain: Pretrain) -> list[int]:
    """Places in ``model.layers`` of the layers to pretrain, from the first; layers without weights are passed over.

    Raises:
        PydanticCustomError: there are too few layers, or one of them is of a kind that no method teaches.
    """
    places: list[int] = []
    weighted = sum(isinstance(layer, Taught) for layer in model.layers)
    wanted = pretrain.layers or max(1, weighted if model.unroll else weighted - 1)
    for index, layer in enumerate(model.layers):
        if len(places) == wanted:
            break
        if isinstance(layer, Taught):
            places.append(index)
        elif layer.kind not in PASSED_OVER:
            raise problem(
                "only dense, conv2d and classification_rbm layers can be pretrained, from the input on",
                path=("model", "layers", index),
                expected=f"one of these, as pretrain.layers is {wanted}",
                found=f"layer {layer.kind}",
                hint=HINTS.get(layer.kind, "leave pretrain out, or set pretrain.layers to the layers before it"),
            )
    if len(places) < wanted:
        raise problem(
            "more layers to pretrain than the network has",
            path=("pretrain", "layers"),
            expected=f"at most {len(places)}",
            found=str(wanted),
        )
    return places


def _seen_through(between: tuple[Layer, ...], layer: Layer) -> tuple[Layer, ...]:
    """``between`` without what changes nothing: dropout, and a flatten before a layer that flattens anyway."""
    changing = [each for each in between if each.kind != "dropout"]
    while changing and layer.flattens and changing[-1].kind == "flatten":
        changing.pop()
    return tuple(changing)


def _check_layer(each: StackedLayer) -> None:
    method, layer, below = each.settings.method, each.layer, each.below
    if layer.kind not in method.teaches:
        raise ShapeError(
            f"{method.kind} cannot teach {layer.kind} layers",
            expected=f"a layer {' or '.join(method.teaches)}",
            found=f"layer {layer.kind}",
            hint=f"pretrain it with {{kind: {_teacher(layer)}}}, for it alone in pretrain.per_layer",
        )
    method.check(layer)
    binary = isinstance(layer, ClassificationRbm) or method.reads_probabilities(below)
    if below and binary and below not in PROBABILITIES:
        raise ShapeError(
            f"pretraining by {method.kind} needs inputs from 0 to 1",
            expected="activation sigmoid in the layer below",
            found=f"activation {below}",
            hint="{kind: autoencoder, loss: mean_squared_error} takes any inputs",
        )


def _teacher(layer: Taught) -> str:
    return "rbm" if isinstance(layer, ClassificationRbm) else "autoencoder"


def _problem_at(index: int, error: ShapeError) -> Any:
    path = ("model", "layers", index)
    return problem(error.what, path=path, expected=error.expected, found=error.found, hint=error.hint)


def _problem_under(path: tuple[str, ...], error: PydanticCustomError) -> Any:
    said = error.context or {}
    return problem(
        said["what"],
        path=(*path, *said["path"]),
        expected=said["expected"],
        found=said["found"],
        hint=said["hint"],
    )
