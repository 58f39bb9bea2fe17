"""Every layer of the list, from its spec to its module."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from nnpipe.models.activations import ALIASES, ActivationName
from nnpipe.models.layers import AnyLayer
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.layer import ActivatedLayer, Shape, ShapeError
from nnpipe.models.layers.residual import Residual
from nnpipe.models.stack import Stack

from .layer_cases import CASES, kinds, layer_of, name

EVERY = pytest.mark.parametrize(("spec", "before", "after", "parameters"), CASES, ids=name)


def test_every_layer_of_the_list_is_in_the_table() -> None:
    assert kinds() == {spec["kind"] for spec, *_ in CASES}


@EVERY
def test_a_layer_says_the_shape_and_size_that_its_module_has(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int | None
) -> None:
    layer = layer_of(spec)
    module = layer.build(before, torch.Generator().manual_seed(0))
    assert layer.output_shape(before) == after
    assert tuple(module(torch.zeros(2, *before)).shape) == (2, *after)
    assert layer.parameters(before) == parameters
    assert parameters in (None, sum(p.numel() for p in module.parameters()))


@EVERY
def test_weights_are_drawn_from_the_explicit_generator_alone(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int | None
) -> None:
    layer, state = layer_of(spec), torch.get_rng_state()

    def weights(seed: int) -> list[bytes]:
        module = layer.build(before, torch.Generator().manual_seed(seed))
        return [tensor.numpy().tobytes() for tensor in module.state_dict().values() if tensor.ndim > 1]

    assert weights(1) == weights(1)
    assert (weights(1) != weights(2)) == bool(weights(1))
    assert torch.equal(state, torch.get_rng_state())


@EVERY
def test_a_layer_is_the_same_after_json(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int | None
) -> None:
    layer = layer_of(spec)
    assert layer_of(layer.model_dump(mode="json")) == layer
    assert TypeAdapter(AnyLayer).validate_python(layer.model_dump(), strict=True) == layer


@EVERY
def test_gradients_are_those_of_finite_differences(
    spec: dict[str, Any], before: Shape, after: Shape, parameters: int | None
) -> None:
    layer = layer_of(spec)
    stack = Stack([layer], before, torch.Generator().manual_seed(0)).double()
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(3, *before, dtype=torch.float64, generator=draws, requires_grad=True)
    names, values = zip(*stack.named_parameters(), strict=True) if [*stack.parameters()] else ((), ())
    dropout = [module for module in stack.modules() if hasattr(module, "generator")]

    def compute(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        for module in dropout:  # the same draws each time
            module.generator.manual_seed(2)
        y: torch.Tensor = torch.func.functional_call(stack, dict(zip(names, weights, strict=True)), (x,))
        return y

    assert torch.autograd.gradcheck(compute, (x, *values), fast_mode=True)


@pytest.mark.parametrize("activation", [*get_args(ActivationName), *ALIASES])
def test_every_activation_is_a_word_of_a_spec_and_aliases_become_the_canonical_one(activation: str) -> None:
    layer = layer_of({"kind": "dense", "units": 2, "activation": activation})
    assert isinstance(layer, ActivatedLayer)
    assert layer.activation == ALIASES.get(activation, activation)
    assert layer.model_dump(mode="json")["activation"] in get_args(ActivationName)


@pytest.mark.parametrize(
    ("spec", "shape", "hint"),
    [
        ({"kind": "dense", "units": 3}, (1, 28, 28), "put {kind: flatten} before it"),
        ({"kind": "conv2d", "filters": 1, "kernel": 3}, (9,), "put conv2d before flatten and dense"),
        ({"kind": "conv2d", "filters": 1, "kernel": [2, 5]}, (1, 4, 4), "take a smaller kernel"),
        ({"kind": "max_pool2d", "size": 2}, (9,), "put max_pool2d before flatten and dense"),
        ({"kind": "max_pool2d", "size": [2, 5]}, (1, 4, 4), "take a smaller window"),
        ({"kind": "conv2d", "filters": 1, "kernel": 3, "dilation": 2}, (1, 4, 9), "take a smaller kernel"),
        ({"kind": "conv2d", "filters": 2, "kernel": 1, "groups": 2}, (3, 4, 4), "number that divides both"),
        ({"kind": "avg_pool2d", "size": 5}, (1, 4, 4), "take a smaller window"),
        ({"kind": "global_average_pool2d"}, (9,), "put global_average_pool2d before flatten and dense"),
        ({"kind": "global_max_pool2d"}, (9,), "put global_max_pool2d before flatten and dense"),
        ({"kind": "reshape", "shape": [1, 3, 3]}, (8,), "the product of the shape's numbers"),
        (
            {"kind": "residual", "layers": [{"kind": "dense", "units": 4}], "projection": "none"},
            (3,),
            "projection auto",
        ),
        ({"kind": "residual", "layers": [{"kind": "conv2d", "filters": 1, "kernel": 3}]}, (1, 9, 9), "padding same"),
        ({"kind": "residual", "layers": ["flatten"]}, (1, 2, 2), "padding same"),
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
        {"kind": "conv2d", "filters": 3, "kernel": 3, "groups": 2},
        {"kind": "conv2d", "filters": 3, "kernel": 3, "dilation": 0},
        {"kind": "activation"},
        {"kind": "reshape", "shape": [2, 2]},
        {"kind": "batch_norm", "momentum": 1.0},
        {"kind": "batch_norm", "epsilon": 0},
        {"kind": "residual", "layers": []},
        {"kind": "residual", "layers": [{"kind": "wavelet"}]},
        {"kind": "custom", "class": "Alone"},
        {"kind": "custom", "class": "os.path/..x.Y"},
        {"kind": "custom", "class": "a.B", "output_shape": []},
        {"kind": "dense", "units": 2, "init": "he"},
        {"kind": "dense", "units": 2, "init": "normal"},
        {"kind": "dense", "units": 2, "init": {"kind": "uniform", "range": [1, 0]}},
        {"kind": "dense", "units": 2, "init": "nguyen_widrow", "activation": "relu"},
    ],
    ids=name,
)
def test_an_option_that_makes_no_sense_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        layer_of(spec)


def test_one_number_stands_for_a_square_kernel() -> None:
    assert Conv2d.model_validate({"filters": 1, "kernel": 5}) == Conv2d(filters=1, kernel=(5, 5))
    assert Conv2d.model_json_schema()["properties"]["kernel"]["anyOf"][0]["type"] == "integer"


def test_a_residual_adds_its_input_or_a_projection_of_it() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for units in (3, 4):
        inner = {"kind": "dense", "units": units, "activation": "tanh"}
        layer = layer_of({"kind": "residual", "layers": [inner]})
        module = layer.build((3,), torch.Generator().manual_seed(1))
        w = module.state_dict()
        inside = torch.tanh(x @ w["layers.0.weight"].T + w["layers.0.bias"])
        beside = x if units == 3 else x @ w["projection.weight"].T + w["projection.bias"]
        torch.testing.assert_close(module(x), inside + beside)


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 8, 8), None), ((2, 8, 8), (1, 1)), ((3, 16, 15), (2, 2)), ((3, 8, 24), (1, 3))]
)
def test_images_are_projected_with_the_stride_that_fits(shape: Shape, expected: Shape | None) -> None:
    strides = {(3, 8, 8): 1, (2, 8, 8): 1, (3, 16, 15): 2, (3, 8, 24): [1, 3]}
    inner = {"kind": "conv2d", "filters": 3, "kernel": 1, "stride": strides[shape]}
    layer = layer_of({"kind": "residual", "layers": [inner]})
    assert isinstance(layer, Residual)
    projection = layer.way_round(shape)
    assert (projection.stride if isinstance(projection, Conv2d) else None) == expected


def test_an_error_inside_a_residual_names_its_place() -> None:
    layer = layer_of({"kind": "residual", "layers": [{"kind": "dense", "units": 4}, {"kind": "max_pool2d", "size": 2}]})
    with pytest.raises(ShapeError) as caught:
        layer.output_shape((3,))
    assert caught.value.what == "layers.1 of the residual: max_pool2d reads images"


def test_running_statistics_follow_the_batches_as_keras_has_them() -> None:
    layer = layer_of({"kind": "batch_norm", "momentum": 0.9, "epsilon": 0.5})
    module = layer.build((2,), torch.Generator())
    x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    torch.testing.assert_close(module(x), (x - x.mean(0)) / (x.var(0, correction=0) + 0.5).sqrt())
    torch.testing.assert_close(module.running_mean, 0.1 * x.mean(0))
    torch.testing.assert_close(module.running_var, 0.9 + 0.1 * x.var(0))
    mean, var = module.running_mean.clone(), module.running_var.clone()
    torch.testing.assert_close(module.eval()(x), (x - mean) / (var + 0.5).sqrt())
    # A batch of one has no variance: it is normalised by what is known, and teaches nothing.
    torch.testing.assert_close(module.train()(x[:1]), (x[:1] - mean) / (var + 0.5).sqrt())
    assert torch.equal(module.running_mean, mean)


def test_what_batch_norm_keeps_with_the_weights_is_what_it_computes_with() -> None:
    module = layer_of({"kind": "batch_norm"}).build((3, 4, 4), torch.Generator())
    assert set(module.state_dict()) == {"weight", "bias", "running_mean", "running_var"}


def test_a_bias_that_is_given_is_where_biases_start() -> None:
    for init in ("auto", "zeros"):
        layer = layer_of({"kind": "dense", "units": 3, "bias": 0.25, "init": init})
        assert isinstance(layer, Dense)
        assert layer.build((2,), torch.Generator()).bias.tolist() == [0.25] * 3
