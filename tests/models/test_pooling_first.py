"""Rectifiers go behind the max-pooling that follows them, and behind flattening: the same numbers, sooner."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

CONVOLUTION = {"kind": "conv2d", "filters": 3, "kernel": 3}


def network(*layers: Any) -> Network:
    model = Model.model_validate({"layers": layers})
    return Network(model, (2, 12, 12), Scaling(), ["a", "b"], torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pool", [{"size": 2}, {"size": 3, "stride": 2}])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_outputs_and_gradients_are_the_same_bits(pool: dict[str, int], precision: torch.dtype) -> None:
    net = network(
        {**CONVOLUTION, "activation": "relu"}, {"kind": "max_pool2d", **pool}, "flatten", {"kind": "dense", "units": 2}
    )
    x = torch.randn(40, 2, 12, 12, generator=torch.Generator().manual_seed(1))
    found = []
    for way in (net.logits, lambda x: net.layers[3](net.layers[2](net.layers[1](F.relu(net.layers[0](x)))))):
        net.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            outputs = way(x)
        outputs.float().square().mean().backward()
        found.append([outputs, *(parameter.grad for parameter in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_behind_pooling_and_flattening_a_rectifier_is_applied_once() -> None:
    net = network(
        {**CONVOLUTION, "activation": "relu"},
        {"kind": "max_pool2d", "size": 2},
        "flatten",
        {"kind": "dense", "units": 2},
    )
    assert [function is torch.relu for function in net._fewer] == [False, False, True, False]


def test_other_activations_and_a_last_pooling_stay_where_they_are() -> None:
    x = torch.randn(5, 2, 12, 12, generator=torch.Generator().manual_seed(1))
    for layers in (
        [{**CONVOLUTION, "activation": "tanh"}, {"kind": "max_pool2d", "size": 2}, "flatten"],
        [{**CONVOLUTION, "activation": "relu"}, {"kind": "max_pool2d", "size": 2}],
        [{**CONVOLUTION, "activation": "relu"}, {"kind": "avg_pool2d", "size": 2}, "flatten"],
    ):
        net = network(*layers)
        assert torch.equal(net(x), net.activations(x)[-1])
