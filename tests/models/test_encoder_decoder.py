from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.models.encoder_decoder import EncoderDecoder, encoder_decoder
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense

CONVOLUTIONS: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({"filters": 3, "kernel": 3}, (2, 6, 5)),
    ({"filters": 3, "kernel": [1, 4], "stride": [1, 2]}, (1, 3, 9)),
    ({"filters": 4, "kernel": 3, "padding": "same", "dilation": 2}, (2, 6, 5)),
    ({"filters": 4, "kernel": 2, "stride": 3, "groups": 2}, (2, 7, 8)),
    ({"filters": 2, "kernel": 3, "stride": [3, 2], "dilation": [2, 1]}, (1, 10, 8)),
]


def built(layer: Any, shape: tuple[int, ...], *, tied: bool = True) -> EncoderDecoder:
    return encoder_decoder(layer, shape, tied=tied, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize(("options", "shape"), CONVOLUTIONS, ids=str)
def test_a_tied_decoder_is_the_transpose_of_the_encoder_as_a_matrix(
    options: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    layer = Conv2d.model_validate({**options, "activation": "linear"})
    module, values = built(layer, shape), int(np.prod(shape))
    encoded = layer.output_shape(shape)
    matrix = module.sums(torch.eye(values, dtype=torch.float64).view(values, *shape)).flatten(1)
    hidden = torch.eye(matrix.shape[1], dtype=torch.float64).view(-1, *encoded)
    with torch.no_grad():
        module.visible_bias.copy_(torch.arange(shape[0]))
    decoded = module.decode(hidden)
    assert decoded.shape[1:] == shape
    expected = matrix.T.view(decoded.shape) + torch.arange(shape[0])[:, None, None]
    torch.testing.assert_close(decoded, expected)


@pytest.mark.parametrize(("options", "shape"), CONVOLUTIONS, ids=str)
def test_an_untied_decoder_has_weights_of_its_own_in_the_same_places(
    options: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    module = built(Conv2d.model_validate(options), shape, tied=False)
    tied = built(Conv2d.model_validate(options), shape)
    assert module.decoder_weight is not None
    assert module.decoder_weight.shape == tied.weight.shape
    assert not module.decoder_weight.equal(module.weight)
    hidden = torch.rand(2, *Conv2d.model_validate(options).output_shape(shape), dtype=torch.float64)
    with torch.no_grad():
        tied.weight.copy_(module.decoder_weight)
    torch.testing.assert_close(module.decode(hidden), tied.decode(hidden))


def test_a_convolution_encodes_as_the_layer_does() -> None:
    layer = Conv2d.model_validate({"filters": 3, "kernel": 3, "padding": "same", "activation": "tanh"})
    x = torch.rand(4, 2, 5, 5)
    plain = layer.build((2, 5, 5), torch.Generator().manual_seed(1))
    found = encoder_decoder(layer, (2, 5, 5), tied=True, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found.encode(x), plain(x).tanh())


def test_a_dense_layer_sees_images_as_vectors() -> None:
    module = built(Dense(units=3), (1, 2, 4), tied=False)
    assert module.shape == (8,)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "weight": (3, 8),
        "bias": (3,),
        "visible_bias": (8,),
        "decoder_weight": (8, 3),
    }


def test_first_weights_of_the_decoder_have_the_spread_of_its_own_fans() -> None:
    layer = Conv2d.model_validate({"filters": 100, "kernel": 3, "activation": "relu"})
    module = built(layer, (4, 9, 9), tied=False)
    assert module.decoder_weight is not None
    assert module.decoder_weight.std().item() == pytest.approx((2 / (100 * 9)) ** 0.5, rel=0.05)
