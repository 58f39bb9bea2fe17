"""A layer that Keras does not have, in the formats that hold every layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.exporters import every_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

from .conftest import assert_near, context_of

EVERY = every_exporter()
LAYERS = [
    {"kind": "dense", "units": 7, "activation": "sigmoid"},
    {"kind": "classification_rbm", "hidden": 6, "classes": 4},
]


def build() -> Network:
    draws = torch.Generator().manual_seed(0)
    network = Network(Model.model_validate({"layers": LAYERS}), (1, 2, 5), Scaling(), list("abcd"), draws)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 1, generator=draws)
    return network.eval()


@pytest.mark.parametrize("kind", sorted(EVERY.keys() - {"keras", "keras_h5"}))
def test_the_file_computes_what_the_network_computes(kind: str, tmp_path: Path) -> None:
    network, path = build(), tmp_path / EVERY[kind].filename
    EVERY[kind].write(network, path, context_of(network))
    run = EVERY[kind].load(path)
    assert run is not None
    for rows in (1, 3, 64):
        x = np.random.default_rng(rows).standard_normal((rows, 1, 2, 5), dtype=np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        assert_near(run(x), expected, EVERY[kind])


@pytest.mark.parametrize("kind", ["keras", "keras_h5"])
def test_keras_has_no_word_for_it(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no word for the layer 'classification_rbm'"):
        EVERY[kind].write(build(), tmp_path / EVERY[kind].filename, Context())
