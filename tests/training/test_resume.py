"""A fit that was interrupted anywhere and resumed gives the bits of one that never was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.spec import members
from nnpipe.training.augmentation.affine import Affine
from nnpipe.training.augmentation.elastic import Elastic
from nnpipe.training.augmentation.erasing import Erasing
from nnpipe.training.augmentation.flip import Flip
from nnpipe.training.augmentation.shift import Shift
from nnpipe.training.averaging import Ema
from nnpipe.training.checkpoint import flatten, unflatten
from nnpipe.training.classification import Classification
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.examples import Examples
from nnpipe.training.inspection import NetworkInspector
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.regularisation import Regularisation
from nnpipe.training.schedules.one_cycle import OneCycle
from nnpipe.training.schedules.piecewise import Piecewise

DENSE = [
    {"kind": "dense", "units": 8, "activation": "relu", "init": "glorot_uniform"},
    {"kind": "dense", "units": 6, "activation": "tanh"},
    {"kind": "dropout", "rate": 0.3},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
CONVOLUTIONAL = [
    {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "relu", "init": "glorot_uniform"},
    {"kind": "conv2d", "filters": 4, "kernel": 2, "activation": "relu", "init": "glorot_uniform"},
    {"kind": "max_pool2d", "size": 2},
    "flatten",
    {"kind": "dropout", "rate": 0.3},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
# Every optimizer there is, with options that make it remember as much as it can.
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "adam": {"learning_rate": 0.01},
    "rmsprop": {"momentum": 0.5},
    "conjugate_gradient": {"line_searches": 2},
    "scaled_conjugate_gradient": {"iterations": 2},
    "lbfgs": {"iterations": 3, "history": 4},
}
OPTIMIZERS: list[Optimizer] = [
    member(**OPTIONS.get(member.model_fields["kind"].default, {})) for member in tuple(members(AnyOptimizer))
]
EPOCHS, LOOKS = 3, 4  # a batch less than the examples' end, or an epoch's end, is one look at the wish to stop


def images(seed: int) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 5, (62, 2, 6, 6), dtype=torch.uint8, generator=draw)
    return Examples(x, torch.randint(0, 3, (62,), generator=draw))


class Case:
    """A fit that can be done whole, or stopped and resumed by objects that know nothing of each other."""

    def __init__(self, network: Any, blobs: Any, layers: list[Any], optimizer: Optimizer, **options: Any) -> None:
        self.network, self.layers, self.optimizer, self.options = network, layers, optimizer, options
        dense = layers[0]["kind"] == "dense"
        self.shape = (2,) if dense else (2, 6, 6)
        self.data = (blobs(62), blobs(30, seed=1)) if dense else (images(0), images(1))

    def run(self, watch: Any, seed_of_weights: int = 0) -> tuple[bytes, Any]:
        made = self.network(self.layers, self.shape, seed_of_weights)
        optimizer = self.optimizer.build(made.parameters())
        objective = Classification(made, MeanSquaredError() if self.optimizer.needs_residuals else CrossEntropy())
        regime = Regime(**{"epochs": EPOCHS, "batch_size": 16, **self.options})
        inspector = NetworkInspector(made, objective, self.data[0])
        history = fit(objective, optimizer, *self.data, regime, seed=5, watch=watch, inspector=inspector)
        return b"".join(t.numpy().tobytes() for t in made.state_dict().values()), history


@pytest.mark.parametrize("stop_at", [1, 4, 6, 12], ids="look {}".format)
@pytest.mark.parametrize("layers", [DENSE, CONVOLUTIONAL], ids=["dense", "convolutional"])
@pytest.mark.parametrize("optimizer", [o for o in OPTIMIZERS if not o.needs_residuals], ids=lambda one: one.kind)
def test_a_resumed_fit_gives_the_same_bits(
    network: Any, blobs: Any, watch: Any, layers: list[Any], optimizer: Optimizer, stop_at: int
) -> None:
    case = Case(network, blobs, layers, optimizer)
    weights, history = case.run(watch())
    first = watch(stop_at=stop_at)
    with pytest.raises(Interrupted):
        case.run(first)
    second = watch(states=first.states)
    resumed, after = case.run(second, seed_of_weights=99)
    assert resumed == weights
    assert after.without_times() == history.without_times()
    assert after.records[: len(first.records)] == first.records
    assert len(first.records) == stop_at // LOOKS
    assert len(second.records) == EPOCHS - len(first.records)


@pytest.mark.parametrize("layers", [DENSE, CONVOLUTIONAL], ids=["dense", "convolutional"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: one.kind)
def test_what_an_optimizer_remembers_of_all_examples_is_resumed(
    network: Any, blobs: Any, watch: Any, layers: list[Any], optimizer: Optimizer
) -> None:
    steady = [layer for layer in layers if "dropout" not in str(layer)]
    case = Case(network, blobs, steady, optimizer, batch_size="full", epochs=6)
    weights, history = case.run(watch())
    first = watch(stop_at=3)
    with pytest.raises(Interrupted):
        case.run(first)
    assert len(first.records) == 3
    resumed, after = case.run(watch(states=first.states), seed_of_weights=99)
    assert resumed == weights
    assert after.without_times() == history.without_times()
    assert (after.stopped, len(after.records)) == ("epochs", 6)


def test_a_fit_interrupted_at_every_batch_gives_the_same_bits(network: Any, blobs: Any, watch: Any) -> None:
    case = Case(network, blobs, CONVOLUTIONAL, Adam())
    weights, history = case.run(watch())
    states: list[Any] = []
    for _ in range(EPOCHS * LOOKS):
        with pytest.raises(Interrupted):
            case.run(watch(states=states, stop_at=1))
    resumed, after = case.run(watch(states=states))
    assert resumed == weights
    assert after.without_times() == history.without_times()
    assert len(states) == EPOCHS * LOOKS


@pytest.mark.parametrize("stop_at", [1, 6, 9], ids="look {}".format)
def test_everything_that_moves_during_training_is_resumed(network: Any, blobs: Any, watch: Any, stop_at: int) -> None:
    options = {
        "learning_rate": OneCycle(),
        "momentum": Piecewise(points=((0, 0.5), (1.5, 0.9))),
        "averaging": Ema(decay=0.8),
        "augmentation": (Shift(pixels=1), Affine(degrees=20), Elastic(alpha=2, sigma=1), Erasing(), Flip()),
        "regularisation": Regularisation(l1=1e-3, l2=1e-3, max_norm=1.0, clip_norm=0.5),
    }
    case = Case(network, blobs, CONVOLUTIONAL, Sgd(learning_rate=0.1), **options)
    weights, history = case.run(watch())
    first = watch(stop_at=stop_at)
    with pytest.raises(Interrupted):
        case.run(first)
    resumed, after = case.run(watch(states=first.states), seed_of_weights=99)
    assert resumed == weights
    assert after.without_times() == history.without_times()
    assert after.inside == history.inside
    assert len(history.inside) == EPOCHS + 1
    for name in options:
        assert (
            Case(
                network, blobs, CONVOLUTIONAL, Sgd(learning_rate=0.1), **{**options, name: Regime(1).__dict__[name]}
            ).run(watch())[0]
            != weights
        ), f"{name} changes nothing"


@pytest.mark.parametrize("looks", [1, 4, 6, 11], ids="{} before the end".format)
def test_early_stopping_resumes_with_its_best_weights(network: Any, blobs: Any, watch: Any, looks: int) -> None:
    stopping = EarlyStopping(patience=2)
    options = {"early_stopping": stopping, "epochs": 30}
    case = Case(network, blobs, DENSE, Sgd(learning_rate=2.0, momentum=0.8), **options)
    weights, history = case.run(watch())
    assert history.stopped == "patience"
    first = watch(stop_at=LOOKS * len(history.records) - looks)
    with pytest.raises(Interrupted):
        case.run(first)
    resumed, after = case.run(watch(states=first.states), seed_of_weights=99)
    assert resumed == weights
    assert (after.stopped, after.kept_epoch) == (history.stopped, history.kept_epoch)


def test_a_kept_checkpoint_changes_nothing(network: Any, blobs: Any, watch: Any) -> None:
    case = Case(network, blobs, DENSE, Adam())
    eager = watch(due=True)
    assert case.run(eager)[0] == case.run(watch())[0]
    assert len(eager.states) == EPOCHS * LOOKS


def test_a_fit_resumes_with_its_number_of_threads_and_leaves_the_callers(
    network: Any, blobs: Any, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, first, asked = Case(network, blobs, DENSE, Sgd()), watch(stop_at=1), []
    with pytest.raises(Interrupted):
        case.run(first)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    case.run(watch(states=first.states))
    assert asked == [threads, threads + 1]


def test_nested_state_survives_being_taken_apart() -> None:
    state = {
        "a": {0: {"step": torch.tensor(3.0), "kept": None}, 1: {}},
        "b": [1, 2.5, (True, "x", torch.arange(6).reshape(2, 3))],
        "infinite": float("inf"),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
    }
    tensors, document = flatten(state)
    back = unflatten({name: np.ascontiguousarray(array) for name, array in tensors.items()}, document)
    assert set(tensors) == {"a/0/step", "b/2/2", "bytes"}
    assert repr(back) == repr(state)
    assert back["bytes"].dtype == torch.uint8


def test_what_is_neither_number_nor_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="a/0: object"):
        flatten({"a": [object()]})
