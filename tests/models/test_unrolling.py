"""A stack of dense layers and its mirror image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, load_network, save_document
from nnpipe.models.scaling import Scaling

ENCODER = [
    {"kind": "flatten"},
    {"kind": "dropout", "rate": 0.2},
    {"kind": "dense", "units": 12, "activation": "sigmoid"},
    {"kind": "dense", "units": 7, "activation": "tanh"},
    {"kind": "dense", "units": 3},
]


def model(**changes: Any) -> Model:
    return Model.model_validate({"layers": ENCODER, "unroll": True, **changes})


def network() -> Network:
    draws, place = torch.Generator().manual_seed(1), model().code
    return Network(model().unrolled((1, 4, 5)), (1, 4, 5), Scaling(), (), draws, code=place)


def test_the_decoder_mirrors_the_dense_layers_and_ends_with_as_many_values_as_an_example_has() -> None:
    whole = model().unrolled((1, 4, 5))
    assert [shape[0] for shape in whole.shapes((1, 4, 5))] == [20, 20, 12, 7, 3, 7, 12, 20]
    activations = [layer.model_dump().get("activation") for layer in whole.layers]
    assert activations == [None, None, "sigmoid", "tanh", "linear", "tanh", "sigmoid", "sigmoid"]
    assert model().code == 4
    assert whole.unroll is None


def test_one_dense_layer_alone_has_only_outputs_behind_it() -> None:
    whole = model(layers=ENCODER[-1:], unroll={"output": "linear"}).unrolled((20,))
    assert [(layer.model_dump()["units"], layer.model_dump()["activation"]) for layer in whole.layers] == [
        (3, "linear"),
        (20, "linear"),
    ]


def test_a_network_that_is_not_unrolled_stays_as_it_is_and_its_document_says_nothing_of_it() -> None:
    plain = model(unroll=False)
    assert plain.unrolled((1, 4, 5)) is plain
    assert plain.code is None
    assert set(plain.model_dump()) == {"layers"}
    assert model().model_dump()["unroll"] == {"output": "sigmoid"}
    assert Model.model_validate(model().model_dump()) == model()


def test_a_document_tells_where_the_code_is_and_the_network_loads_again() -> None:
    made = network().eval()
    document = save_document(made)
    assert (document["code"], document["class_names"]) == (4, [])
    again = load_network({name: tensor.numpy() for name, tensor in made.state_dict().items()}, document)
    x = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    assert again.code == 4
    assert torch.equal(again(x), made(x))
    assert again(x).shape == (2, 20)
    assert again.activations(x)[again.code].shape == (2, 3)


@pytest.mark.parametrize(
    ("layers", "place"),
    [
        ([{"kind": "conv2d", "filters": 2, "kernel": 3}, *ENCODER], 0),
        ([*ENCODER, {"kind": "batch_norm"}], 5),
        ([{"kind": "flatten"}], 0),
    ],
)
def test_layers_without_a_mirror_image_are_refused_at_their_place(layers: list[Any], place: int) -> None:
    with pytest.raises(ValidationError, match="only dense layers can be unrolled") as caught:
        model(layers=layers)
    assert caught.value.errors()[0]["ctx"]["path"] == ["layers", place]
