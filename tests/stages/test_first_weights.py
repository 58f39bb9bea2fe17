"""The weights that training started from are drawn again as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnpipe.pipeline.graph import stages_of
from nnpipe.stages.first_weights import first_weights
from nnpipe.stages.pretrained import numbered, pretrained_layers
from nnpipe.stages.visualize import Visualize
from nnpipe.store.store import Store
from tests.pipeline.conftest import miniature, run

UNROLLED = ("model.unroll=true", "model.layers.2.activation=linear", "train.loss=binary_cross_entropy", "visualize=[]")


@pytest.mark.parametrize("overrides", [(), ("pretrain=null",), UNROLLED], ids=["pretrained", "random", "unrolled"])
def test_they_are_those_of_a_run_without_an_epoch(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    store, spec = Store(tmp_path / "artifacts"), miniature(*overrides, "train.epochs=0")
    done = run(store, *overrides, "train.epochs=0", until="finetune")
    artifacts = {stage.name: store.artifact(stage.artifact) for stage in done.stages if stage.artifact}
    untrained, document = artifacts["finetune"].tensors("model")
    (config,) = (stage.config for stage in stages_of(spec) if stage.name == "visualize")
    assert isinstance(config, Visualize)
    assert config.first_seed is not None
    layers = pretrained_layers(artifacts, len(numbered(artifacts, "pretrain")))
    again = first_weights(config.model, document, layers, config.first_seed)
    assert again.keys() == untrained.keys()
    for name, tensor in untrained.items():
        np.testing.assert_array_equal(again[name], tensor)


def test_of_a_network_that_started_from_another_run_they_are_not_drawn() -> None:
    spec = miniature("pretrain=null", "train.start={from: other/latest}")
    (config,) = (stage.config for stage in stages_of(spec) if stage.name == "visualize")
    assert isinstance(config, Visualize)
    assert config.first_seed is None
    assert config.loss == spec.train.loss
