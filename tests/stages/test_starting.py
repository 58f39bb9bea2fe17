"""Weights that start from another run's network, or from a layer that it pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.stages.starting import start_from_run
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.output import Output
from nnpipe.training.start import Start

DENSE = [
    {"kind": "dense", "units": 6, "activation": "sigmoid"},
    {"kind": "dropout", "rate": 0.1},
    {"kind": "dense", "units": 5, "activation": "sigmoid"},
    {"kind": "batch_norm"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]


def network(layers: list[Any], seed: int, shape: tuple[int, ...] = (4,)) -> Network:
    model = Model.model_validate({"layers": layers})
    return Network(model, shape, Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(seed))


def sealed(folder: Path, stage: str, name: str, tensors: dict[str, np.ndarray], about: Any = None) -> Artifact:
    folder.mkdir()
    output = Output(folder)
    output.tensors(name, tensors, about)
    files = {path.name for path in folder.iterdir()}
    artifact = Artifact("0" * 64, folder, Manifest(stage, "", {}, dict.fromkeys(files, (0, ""))))
    artifact._verified = files
    return artifact


@pytest.fixture
def other(tmp_path: Path) -> tuple[Network, Artifact]:
    """Another run's network, of random biases too."""
    made = network(DENSE, 7)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.arange(parameter.numel()).reshape(parameter.shape) / 10)
    tensors = {name: tensor.numpy() for name, tensor in made.state_dict().items()}
    return made, sealed(tmp_path / "finetune", "finetune", "model", tensors, save_document(made))


def start(layers: Any = None) -> Start:
    return Start.model_validate({"from": "other/latest", **({} if layers is None else {"layers": layers})})


def changed(made: Network, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in made.state_dict().items() if not torch.equal(tensor, before[name])}


def test_all_layers_but_the_last_start_where_the_others_ended(other: Any) -> None:
    made = network(DENSE, 0)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    filled = start_from_run(made, other[1], start())
    assert filled == [made.layers[0], made.layers[2]]
    theirs = other[0].state_dict()
    names = {f"layers.{place}.{name}" for place in (0, 2) for name in ("weight", "bias")}
    assert changed(made, before) == names  # nothing of batch normalisation, nothing of the last layer
    assert all(torch.equal(made.state_dict()[name], theirs[name]) for name in names)


def test_layers_can_be_counted_and_another_output_layer_put_on_them(other: Any) -> None:
    layers = [*DENSE[:2], {"kind": "dense", "units": 9, "activation": "relu"}, DENSE[-1]]
    made = network(layers, 0)
    assert start_from_run(made, other[1], start(1)) == [made.layers[0]]
    assert torch.equal(made.layers[0].weight, other[0].layers[0].weight)


def test_a_decoder_starts_from_its_encoder_transposed(other: Any) -> None:
    layers = [{"kind": "dense", "units": units} for units in (6, 5, 6, 4)]
    made = network(layers, 0)
    bias = made.layers[2].bias.clone()
    mapping = [{"layer": 1}, {"layer": 2}, {"layer": 3, "of": 2, "transposed": True}]
    mapping.append({"layer": 4, "of": 1, "transposed": True})
    start_from_run(made, other[1], start(mapping))
    assert torch.equal(made.layers[2].weight, other[0].layers[2].weight.T)
    assert torch.equal(made.layers[3].weight, other[0].layers[0].weight.T)
    assert torch.equal(made.layers[2].bias, bias)


def test_a_pretrained_layer_gives_its_weights_or_its_reconstruction(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"weight": (6, 4), "bias": (6,), "visible_bias": (4,)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    artifact = sealed(tmp_path / "layer", "pretrain/1", "layer", tensors)
    made = network(DENSE, 0)
    assert start_from_run(made, artifact, start()) == [made.layers[0]]
    np.testing.assert_array_equal(made.layers[0].bias.detach(), tensors["bias"])
    decoder = network([{"kind": "dense", "units": units} for units in (6, 4)], 0)
    start_from_run(decoder, artifact, start([{"layer": 2, "of": 1, "transposed": True}]))
    np.testing.assert_array_equal(decoder.layers[1].weight.detach(), tensors["weight"].T)
    np.testing.assert_array_equal(decoder.layers[1].bias.detach(), tensors["visible_bias"])


def test_kernels_are_copied_too(tmp_path: Path) -> None:
    layers = [{"kind": "conv2d", "filters": 3, "kernel": 2, "activation": "relu"}, "flatten", DENSE[-1]]
    first, made = network(layers, 7, (1, 4, 4)), network(layers, 0, (1, 4, 4))
    tensors = {name: tensor.contiguous().numpy() for name, tensor in first.state_dict().items()}
    start_from_run(made, sealed(tmp_path / "net", "finetune", "model", tensors, save_document(first)), start())
    assert torch.equal(made.layers[0].weight, first.layers[0].weight)
    with pytest.raises(StageError, match="layer 1 of other/latest cannot be transposed"):
        artifact = sealed(tmp_path / "again", "finetune", "model", tensors, save_document(first))
        start_from_run(made, artifact, start([{"layer": 1, "transposed": True}]))


@pytest.mark.parametrize(
    ("units", "layers", "found", "hint"),
    [
        (7, 1, "weight of shape (6, 4)", None),
        (6, [{"layer": 1, "of": 9}], "9", None),
        (4, [{"layer": 2, "of": 1}], "weight of shape (6, 4)", "set transposed: true"),
    ],
)
def test_what_does_not_fit_is_refused(other: Any, units: int, layers: Any, found: str, hint: str | None) -> None:
    model = [{"kind": "dense", "units": 6}, {"kind": "dense", "units": units}]
    if layers == 1:
        model = model[1:]
    with pytest.raises(StageError, match=r"cannot start from layer \d of other/latest") as caught:
        start_from_run(network(model, 0), other[1], start(layers))
    assert (caught.value.found, caught.value.hint) == (found, hint)
