"""Stacks of pretrained layers leave as networks: up as pretraining represented examples, down as it reconstructed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nnpipe.errors import UsageError
from nnpipe.models.activations import activation_function
from nnpipe.models.encoder_decoder import encoder_decoder
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.network import Network
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import check_spec
from nnpipe.pipeline.trained import departure_of
from nnpipe.pretraining.boltzmann_machine import BoltzmannMachine
from nnpipe.pretraining.units.bernoulli import Bernoulli
from nnpipe.pretraining.units.doubled import DoubledHidden, DoubledVisible
from nnpipe.pretraining.units.gaussian import Gaussian
from nnpipe.pretraining.units.softmax import Softmax
from nnpipe.pretraining.units.units import Units
from nnpipe.spec.document import Document
from nnpipe.store.artifact import Artifact
from nnpipe.store.store import Store

SPEC = """\
version: 1
name: stack
data: {source: digits}
model: {layers: [softmax]}
pretrain: {method: rbm, epochs: 3, batch_size: 50}
train: {optimizer: adam, epochs: 1}
"""
TOP = "{kind: dense, units: 10, activation: softmax}"
FIRST, SECOND = "{kind: dense, units: 30, activation: sigmoid}", "{kind: dense, units: 12, activation: sigmoid}"
NEAR = {"rtol": 0, "atol": 1e-6}
PARTS = ("whole", "encoder", "decoder")
Down = Callable[[torch.Tensor], torch.Tensor]


def run(root: Path, until: str, layers: Sequence[str], *overrides: str) -> tuple[Store, Run]:
    """A network of ``layers``, carried out as far as ``until``."""
    store, network = Store(root / "artifacts"), f"model.layers=[{', '.join(layers)}]"
    spec = check_spec(Document.parse(SPEC, "stack.yaml"), (network, *overrides), Path())
    return store, run_local(Execution(make_plan(spec, store, Path(), until=until), Runtime("cpu", threads=1)))


def digits(made: Run, network: Network) -> torch.Tensor:
    """The test examples as a network reads them."""
    with closing(made.artifact("ingest").arrays("data")) as data:
        return torch.from_numpy(network.scaling.apply(data.rows("X_test", 0, data.shape("X_test")[0])))


def represented(made: Run, stage: str) -> np.ndarray:
    """What pretraining made of the test examples."""
    with closing(made.artifact(stage).arrays("representation")) as kept:
        return kept.rows("H_test", 0, kept.shape("H_test")[0]).reshape(kept.shape("H_test")[0], -1)


def machine(
    tensors: dict[str, np.ndarray], visible: Units | None = None, hidden: Units | None = None
) -> BoltzmannMachine:
    found = BoltzmannMachine(tensors["weight"].shape[1], len(tensors["weight"]), visible, hidden)
    found.load_state_dict({name: torch.tensor(tensors[name]) for name in found.state_dict()})
    return found


def computed(network: Network, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network(x).numpy()


def parts(store: Store, made: Run, stage: str) -> tuple[Network, Network, Network]:
    whole, encoder, decoder = (departure_of(store, made.artifact(stage).id).part(part) for part in PARTS)
    return whole, encoder, decoder


def check(store: Store, made: Run, stage: str, way_down: Down) -> None:
    """Compare with what pretraining kept, and with ``way_down``, the method's own way from a code to the data."""
    whole, encoder, decoder = parts(store, made, stage)
    x = digits(made, encoder)
    codes = computed(encoder, x)
    np.testing.assert_allclose(codes, represented(made, stage), **NEAR)
    with torch.inference_mode():
        expected = way_down(torch.from_numpy(codes)).flatten(1).numpy()
    assert expected.std(axis=0).max() > 0.01, "a way down that gives all examples the same values would hide mistakes"
    np.testing.assert_allclose(computed(decoder, torch.from_numpy(codes)), expected, **NEAR)
    np.testing.assert_allclose(computed(whole, x), expected, **NEAR)
    assert whole.scaling == encoder.scaling == decoder.target_scaling
    assert encoder.target_names == tuple(f"code_{unit}" for unit in range(codes.shape[1]))
    assert decoder.target_names[:2] == ("pixel_0_0", "pixel_0_1")
    assert len(decoder.target_names) == 64


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    """Two machines of binary units, as mnist_dbn's."""
    return run(tmp_path_factory.mktemp("machines"), "pretrain/2", [FIRST, SECOND, TOP])


def test_two_machines_of_binary_units_give_their_probabilities_up_and_down(machines: tuple[Store, Run]) -> None:
    store, made = machines
    first, second = (machine(made.artifact(f"pretrain/{number}").tensors("layer")[0]) for number in (1, 2))
    check(store, made, "pretrain/1", first.visible_probabilities)
    check(store, made, "pretrain/2", lambda h: first.visible_probabilities(second.visible_probabilities(h)))


def test_real_numbers_and_rectified_units_and_a_group_of_which_one_is_on(tmp_path: Path) -> None:
    rectified, group = "{kind: dense, units: 30, activation: relu}", "{kind: dense, units: 8, activation: softmax}"
    store, made = run(
        tmp_path,
        "pretrain/3",
        [rectified, group, SECOND, TOP],
        "data.scaling=standard",
        "pretrain.epochs=5",
        "pretrain.optimizer={kind: adam, learning_rate: 0.03}",
        "pretrain.per_layer={1: {method: {kind: rbm, visible: gaussian}}, 2: {method: {kind: rbm, variance: learned}}}",
    )
    tensors = [made.artifact(f"pretrain/{number}").tensors("layer")[0] for number in (1, 2, 3)]
    variances = [nn.Parameter(torch.tensor(each["log_variance"])) for each in tensors[:2]]
    assert all(len(each) > 1 and each.std() > 0 for each in variances)
    first, second = (machine(each, Gaussian(kept)) for each, kept in zip(tensors, variances, strict=False))
    third = machine(tensors[2], Softmax())
    check(store, made, "pretrain/1", first.visible_probabilities)
    check(
        store,
        made,
        "pretrain/3",
        lambda h: first.visible_probabilities(second.visible_probabilities(third.visible_probabilities(h))),
    )


def test_convolutions_and_dense_layers_of_autoencoders_with_a_reshape_between(tmp_path: Path) -> None:
    same = "kernel: [3, 5], padding: same, activation: sigmoid"
    first, second = f"{{kind: conv2d, filters: 6, {same}}}", f"{{kind: conv2d, filters: 4, groups: 2, {same}}}"
    last = "{kind: conv2d, filters: 3, kernel: 1, activation: tanh}"
    store, made = run(
        tmp_path,
        "pretrain/4",
        [first, second, "flatten", FIRST, "{kind: reshape, shape: [5, 3, 2]}", last, "flatten", TOP],
        "pretrain.method={kind: autoencoder, tied: false, level: 0}",
        "pretrain.optimizer={kind: adam, learning_rate: 0.01}",
        "pretrain.per_layer.1={method: {kind: autoencoder, level: 0}}",
        "pretrain.per_layer.4={method: {kind: autoencoder, loss: mean_squared_error}}",
    )
    ways = [way_down(made.artifact(f"pretrain/{number}"), shape) for number, shape in enumerate(SEEN, start=1)]
    check(store, made, "pretrain/2", lambda h: ways[0](ways[1](h)))
    check(store, made, "pretrain/4", lambda h: ways[0](ways[1](ways[2](ways[3](h)))))


SEEN = ((1, 8, 8), (6, 8, 8), (256,), (5, 3, 2))  # by each layer


def way_down(layer: Artifact, seen: tuple[int, ...]) -> Down:
    """How an autoencoder decodes, as it learned to."""
    tensors, about = layer.tensors("layer")
    kind = Conv2d if about["layer"]["kind"] == "conv2d" else Dense
    spec = kind.model_validate(about["layer"])
    both_ways = encoder_decoder(spec, seen, tied="decoder_weight" not in tensors, generator=torch.Generator())
    both_ways.load_state_dict({name: torch.tensor(each) for name, each in tensors.items()})
    function = activation_function("linear" if about["method"]["loss"] == "mean_squared_error" else "sigmoid")
    return lambda h: function(both_ways.decode(h.reshape(len(h), *spec.output_shape(seen))))


def test_layers_that_learned_on_together_leave_as_they_are_heard_from_below(tmp_path: Path) -> None:
    joint = "pretrain.joint={kind: deep_boltzmann_machine, epochs: 1}"
    store, made = run(tmp_path, "pretrain/joint", [FIRST, SECOND, TOP], joint)
    whole, encoder, decoder = parts(store, made, "pretrain/joint")
    tensors = [made.artifact("pretrain/joint").tensors(f"layer_{number}")[0] for number in (1, 2)]
    x = digits(made, encoder)
    h = x.flatten(1)
    for each in tensors:
        h = torch.sigmoid(h @ torch.tensor(each["weight"]).T + torch.tensor(each["bias"]))
    np.testing.assert_allclose(computed(encoder, x), h, **NEAR)
    v = h
    for each in tensors[::-1]:
        v = torch.sigmoid(v @ torch.tensor(each["decoder_weight"]).T + torch.tensor(each["visible_bias"]))
    np.testing.assert_allclose(computed(decoder, h), v, **NEAR)
    np.testing.assert_allclose(computed(whole, x), v, **NEAR)
    # Alone, each machine has a side that is there twice.
    alone = [made.artifact(f"pretrain/{number}").tensors("layer")[0] for number in (1, 2)]
    first, second = machine(alone[0], DoubledVisible()), machine(alone[1], Bernoulli(), DoubledHidden())
    check(store, made, "pretrain/2", lambda h: first.visible_probabilities(second.visible_probabilities(2 * h)))


@pytest.mark.parametrize(
    ("layers", "method", "told"),
    [
        (["{kind: conv2d, filters: 3, kernel: 3, activation: sigmoid}", "flatten"], "autoencoder", "fewer rows"),
        ([FIRST], "supervised", "labels alone"),
        (["{kind: max_pool2d, size: 2}", "flatten", FIRST], "rbm", "layer max_pool2d before it"),
        (["{kind: classification_rbm, hidden: 20, classes: 10}"], "rbm", "layer classification_rbm"),
    ],
)
def test_a_way_back_that_no_layer_is_is_refused_and_the_encoder_leaves_all_the_same(
    layers: list[str], method: str, told: str, tmp_path: Path
) -> None:
    layers = layers if "classification_rbm" in layers[0] else [*layers, TOP]
    store, made = run(tmp_path, "pretrain/1", layers, f"pretrain.method={method}", "pretrain.layers=1")
    for part in PARTS[::2]:
        with pytest.raises(UsageError, match="no layer for the way back through pretrained layer 1") as caught:
            departure_of(store, made.artifact("pretrain/1").id).part(part)
        assert told in str(caught.value.found)
    encoder = departure_of(store, made.artifact("pretrain/1").id).part("encoder")
    np.testing.assert_allclose(computed(encoder, digits(made, encoder)), represented(made, "pretrain/1"), **NEAR)


def test_a_layer_whose_origin_is_gone_is_refused(machines: tuple[Store, Run], tmp_path: Path) -> None:
    _, made = machines
    top, below = made.artifact("pretrain/2"), made.artifact("pretrain/1")
    shutil.copytree(made.store.root, tmp_path / "artifacts")
    store = Store(tmp_path / "artifacts")
    shutil.rmtree(store.directory(below.id))
    with pytest.raises(UsageError, match="not in the store any more: below"):
        departure_of(store, top.id).part("encoder")
    shutil.rmtree(tmp_path / "artifacts" / "recipes")
    with pytest.raises(UsageError, match="nothing tells"):
        departure_of(store, top.id).part("encoder")
