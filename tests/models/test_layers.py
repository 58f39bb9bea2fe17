"""Every layer of the list, from its spec to its module."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from nnpipe.models.activations import Activation
from nnpipe.models.initialisers import Initialiser
from nnpipe.models.layers import AnyLayer, Conv2d
from nnpipe.models.layers.layer import Layer, Shape, ShapeError, WeightedLayer

Case = tuple[dict[str, Any], Shape, Shape, int]  # spec, shape before, shape after, parameters (all by hand)

CASES: list[Case] = [
    ({"kind": "dense", "units": 3}, (5,), (3,), 18),
    ({"kind": "conv2d", "filters": 4, "kernel": 3}, (2, 7, 9), (4, 5, 7), 76),
    ({"kind": "conv2d", "filters": 4, "kernel": [3, 1], "stride": 2}, (2, 7, 9), (4, 3, 5), 28),
    ({"kind": "conv2d", "filters": 1, "kernel": [5, 3], "padding": "same"}, (1, 4, 6), (1, 4, 6), 16),
    ({"kind": "conv2d", "filters": 2, "kernel": 3, "stride": [1, 3]}, (1, 5, 10), (2, 3, 3), 20),
    ({"kind": "max_pool2d", "size": 2}, (3, 5, 8), (3, 2, 4), 0),
    ({"kind": "max_pool2d", "size": [3, 2], "stride": 1}, (3, 5, 8), (3, 3, 7), 0),
    ({"kind": "flatten"}, (3, 5, 8), (120,), 0),
    ({"kind": "flatten"}, (7,), (7,), 0),
    ({"kind": "dropout", "rate": 0.5}, (3, 5, 8), (3, 5, 8), 0),
]


def layer_of(spec: dict[str, Any]) -> Layer:
    layer = TypeAdapter(AnyLayer).validate_python(spec)
    assert isinstance(layer, Layer)
    return layer


def name(case: Any) -> str:
    return "-".join(str(value) for value in case.values()) if isinstance(case, dict) else ""


def test_every_layer_of_the_list_is_in_the_table() -> None:
    kinds = {member.model_fields["kind"].default for member in get_args(get_args(AnyLayer)[0])}
    assert kinds == {spec["kind"] for spec, *_ in CASES}


@pytest.mark.parametrize(("spec", "before", "after", "parameters"), CASES, ids=name)
def test_a_layer_says_the_shape_and_size_that_its_module_has(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int
) -> None:
    layer = layer_of(spec)
    module = layer.build(before, torch.Generator().manual_seed(0))
    assert layer.output_shape(before) == after
    assert tuple(module(torch.zeros(2, *before)).shape) == (2, *after)
    assert layer.parameters(before) == sum(p.numel() for p in module.parameters()) == parameters


@pytest.mark.parametrize(("spec", "before", "after", "parameters"), CASES, ids=name)
def test_weights_are_drawn_from_the_explicit_generator_alone(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int
) -> None:
    layer, state = layer_of(spec), torch.get_rng_state()

    def weights(seed: int) -> list[bytes]:
        module = layer.build(before, torch.Generator().manual_seed(seed))
        return [tensor.numpy().tobytes() for tensor in module.state_dict().values()]

    assert weights(1) == weights(1)
    assert bool(parameters) == (weights(1) != weights(2))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("spec", "before", "after", "parameters"), CASES, ids=name)
def test_a_layer_is_the_same_after_json(spec: dict[str, Any], before: Shape, after: Shape, parameters: int) -> None:
    layer = layer_of(spec)
    assert layer_of(layer.model_dump(mode="json")) == layer
    assert TypeAdapter(AnyLayer).validate_python(dict(layer), strict=True) == layer


@pytest.mark.parametrize("init", get_args(Initialiser))
@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_and_initialiser_is_a_word_of_a_spec(activation: str, init: str) -> None:
    layer = layer_of({"kind": "dense", "units": 2, "activation": activation, "init": init})
    assert isinstance(layer, WeightedLayer)
    assert (layer.activation, layer.init) == (activation, init)


@pytest.mark.parametrize(
    ("spec", "shape", "hint"),
    [
        ({"kind": "dense", "units": 3}, (1, 28, 28), "put {kind: flatten} before it"),
        ({"kind": "conv2d", "filters": 1, "kernel": 3}, (9,), "put conv2d before flatten and dense"),
        ({"kind": "conv2d", "filters": 1, "kernel": [2, 5]}, (1, 4, 4), "take a smaller kernel"),
        ({"kind": "max_pool2d", "size": 2}, (9,), "put max_pool2d before flatten and dense"),
        ({"kind": "max_pool2d", "size": [2, 5]}, (1, 4, 4), "take a smaller window"),
    ],
    ids=name,
)
def test_a_layer_that_cannot_take_a_shape_says_what_to_do(spec: dict[str, Any], shape: Shape, hint: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer_of(spec).output_shape(shape)
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert caught.value.expected
    assert caught.value.found


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "dense", "units": 0},
        {"kind": "dense", "units": 2.5},
        {"kind": "dense", "units": 2, "activation": "swoosh"},
        {"kind": "flatten", "activation": "relu"},
        {"kind": "conv2d", "filters": 1, "kernel": [3, 0]},
        {"kind": "conv2d", "filters": 1, "kernel": [3, 3, 3]},
        {"kind": "conv2d", "filters": 1, "kernel": True},
        {"kind": "conv2d", "filters": 1, "kernel": 4, "padding": "same"},
        {"kind": "conv2d", "filters": 1, "kernel": 3, "stride": 2, "padding": "same"},
        {"kind": "max_pool2d", "size": 2, "stride": 0},
        {"kind": "dropout", "rate": 1.0},
    ],
    ids=name,
)
def test_an_option_that_makes_no_sense_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        layer_of(spec)


def test_one_number_stands_for_a_square_kernel() -> None:
    assert Conv2d.model_validate({"filters": 1, "kernel": 5}) == Conv2d(filters=1, kernel=(5, 5))
    assert Conv2d.model_json_schema()["properties"]["kernel"]["anyOf"][0]["type"] == "integer"
