"""A decoder starts from what pretrained layers decode with."""

from __future__ import annotations

import numpy as np
import torch

from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.stages.unroll import start_decoder_from


def test_the_mean_of_visible_units_with_a_variance_is_what_the_decoder_gives() -> None:
    rng = np.random.default_rng(0)
    model = Model.model_validate({"layers": [{"kind": "dense", "units": 2}], "unroll": {"output": "linear"}})
    network = Network(model.unrolled((3,)), (3,), Scaling(), (), torch.Generator().manual_seed(0), code=0)
    weight, bias, log_variance = (rng.standard_normal(size).astype(np.float32) for size in ((2, 3), 3, 3))
    start_decoder_from(network, [{"weight": weight, "visible_bias": bias, "log_variance": log_variance}])
    h = rng.standard_normal((4, 2)).astype(np.float32)
    with torch.no_grad():
        given = network.layers[1](torch.from_numpy(h)).numpy()
    np.testing.assert_allclose(given, np.exp(log_variance) * (h @ weight) + bias, rtol=1e-5)


def test_the_mirror_image_of_a_layer_that_was_not_pretrained_keeps_its_first_weights() -> None:
    layers = [{"kind": "dense", "units": 4, "activation": "sigmoid"}, {"kind": "dense", "units": 2}]
    model = Model.model_validate({"layers": layers, "unroll": True})
    network = Network(model.unrolled((3,)), (3,), Scaling(), (), torch.Generator().manual_seed(0), code=1)
    before = [module.weight.detach().clone() for module in network.layers if isinstance(module, torch.nn.Linear)]
    weight, decoder = np.ones((4, 3), np.float32), np.full((3, 4), 2, np.float32)
    layer = {"weight": weight, "decoder_weight": decoder, "visible_bias": np.zeros(3, np.float32)}
    start_decoder_from(network, [layer])
    after = [module.weight.detach() for module in network.layers if isinstance(module, torch.nn.Linear)]
    assert [torch.equal(old, new) for old, new in zip(before, after, strict=True)] == [True, True, True, False]
    assert torch.equal(after[3], torch.full((3, 4), 2.0))
