"""One table of layers for every test that holds of all of them: a kind that is not in it fails its first test."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from nnpipe.models.layers import AnyLayer
from nnpipe.models.layers.layer import Layer, Shape
from nnpipe.spec import members

Case = tuple[dict[str, Any], Shape, Shape, int | None]  # spec, shape before, shape after, parameters (all by hand)

INNER = [
    {"kind": "conv2d", "filters": 4, "kernel": 3, "padding": "same", "activation": "tanh"},
    {"kind": "dropout", "rate": 0.2},
    {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "same"},
]
NARROWER = [{"kind": "conv2d", "filters": 5, "kernel": 3, "padding": "same"}, {"kind": "avg_pool2d", "size": 2}]

CASES: list[Case] = [
    ({"kind": "dense", "units": 3}, (5,), (3,), 18),
    ({"kind": "dense", "units": 3, "activation": "tansig", "init": "nguyen_widrow"}, (5,), (3,), 18),
    ({"kind": "dense", "units": 3, "bias": 0.5, "init": {"kind": "normal", "deviation": 0.1}}, (5,), (3,), 18),
    ({"kind": "conv2d", "filters": 4, "kernel": 3}, (2, 7, 9), (4, 5, 7), 76),
    ({"kind": "conv2d", "filters": 4, "kernel": [3, 1], "stride": 2}, (2, 7, 9), (4, 3, 5), 28),
    ({"kind": "conv2d", "filters": 1, "kernel": [5, 3], "padding": "same"}, (1, 4, 6), (1, 4, 6), 16),
    ({"kind": "conv2d", "filters": 2, "kernel": 3, "stride": [1, 3]}, (1, 5, 10), (2, 3, 3), 20),
    ({"kind": "conv2d", "filters": 2, "kernel": 3, "dilation": [2, 1]}, (1, 7, 6), (2, 3, 4), 20),
    ({"kind": "conv2d", "filters": 2, "kernel": 3, "dilation": 3, "padding": "same"}, (1, 4, 5), (2, 4, 5), 20),
    ({"kind": "conv2d", "filters": 6, "kernel": 2, "groups": 2}, (4, 5, 5), (6, 4, 4), 54),
    ({"kind": "max_pool2d", "size": 2}, (3, 5, 8), (3, 2, 4), 0),
    ({"kind": "max_pool2d", "size": [3, 2], "stride": 1}, (3, 5, 8), (3, 3, 7), 0),
    ({"kind": "avg_pool2d", "size": [2, 3]}, (3, 5, 8), (3, 2, 2), 0),
    ({"kind": "global_average_pool2d"}, (3, 5, 8), (3,), 0),
    ({"kind": "global_max_pool2d"}, (3, 5, 8), (3,), 0),
    ({"kind": "flatten"}, (3, 5, 8), (120,), 0),
    ({"kind": "flatten"}, (7,), (7,), 0),
    ({"kind": "reshape", "shape": [2, 3, 4]}, (24,), (2, 3, 4), 0),
    ({"kind": "reshape", "shape": [4, 3, 2]}, (2, 3, 4), (4, 3, 2), 0),
    ({"kind": "reshape", "shape": [24]}, (2, 3, 4), (24,), 0),
    ({"kind": "activation", "activation": "softplus"}, (3, 4, 5), (3, 4, 5), 0),
    ({"kind": "dropout", "rate": 0.5}, (3, 5, 8), (3, 5, 8), 0),
    ({"kind": "dropout", "rate": 0.5, "noise": "gaussian"}, (6,), (6,), 0),
    ({"kind": "batch_norm"}, (3, 5, 8), (3, 5, 8), 6),
    ({"kind": "batch_norm", "momentum": 0.5, "epsilon": 0.01}, (7,), (7,), 14),
    ({"kind": "residual", "layers": INNER}, (3, 4, 5), (3, 4, 5), 112 + 111),
    ({"kind": "residual", "layers": NARROWER, "activation": "relu"}, (2, 6, 7), (5, 3, 3), 95 + 15),
    ({"kind": "residual", "layers": [{"kind": "dense", "units": 4}, "batch_norm"]}, (6,), (4,), 28 + 8 + 28),
    ({"kind": "classification_rbm", "hidden": 4, "classes": 3}, (5,), (3,), 4 * (5 + 3 + 1) + 3),
    ({"kind": "custom", "class": "torch.nn.Softmin", "options": {"dim": 1}}, (4,), (4,), None),
    (
        {
            "kind": "custom",
            "class": "torch.nn.Conv2d",
            "options": {"in_channels": 2, "out_channels": 3, "kernel_size": 2},
            "output_shape": [3, 3, 4],
        },
        (2, 4, 5),
        (3, 3, 4),
        None,
    ),
]


def layer_of(spec: dict[str, Any]) -> Layer:
    layer = TypeAdapter(AnyLayer).validate_python(spec)
    assert isinstance(layer, Layer)
    return layer


def kinds() -> set[str]:
    """Every kind of layer there is."""
    return {member.model_fields["kind"].default for member in tuple(members(AnyLayer))}


def name(case: Any) -> str:
    return "-".join(str(value) for value in case.values())[:60] if isinstance(case, dict) else ""
