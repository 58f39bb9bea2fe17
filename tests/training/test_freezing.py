"""Layers that stay as they are for some epochs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.spec import members
from nnpipe.training.averaging import Ema
from nnpipe.training.classification import Classification
from nnpipe.training.examples import Examples
from nnpipe.training.freezing import Frozen
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

LAYERS = [
    {"kind": "dense", "units": 6, "activation": "tanh"},
    {"kind": "dense", "units": 5, "activation": "sigmoid"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
# With what would move weights that have no gradient, if it could: momentum and decay.
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.3, "momentum": 0.9},
    "adamw": {"weight_decay": 0.3},
    "muon": {"weight_decay": 0.3},
    "conjugate_gradient": {"line_searches": 2},
    "scaled_conjugate_gradient": {"iterations": 2},
    "lbfgs": {"iterations": 2, "history": 3},
}
OPTIMIZERS: list[Optimizer] = [
    member(**OPTIONS.get(member.model_fields["kind"].default, {})) for member in members(AnyOptimizer)
]
FROZEN, EPOCHS = 2, 5
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: one.kind)


class Case:
    """A fit of three layers, those at the places ``frozen`` frozen at first."""

    def __init__(self, network: Any, blobs: Any, optimizer: Optimizer, frozen: tuple[int, ...], **options: Any) -> None:
        self.network, self.optimizer, self.frozen, self.options = network, optimizer, frozen, options
        self.train, self.held_out = blobs(62), blobs(30, seed=1)

    def run(self, watch: Any, seed: int = 0, **options: Any) -> Any:
        made = self.network(LAYERS, (2,), seed)
        optimizer = self.optimizer.build(made.parameters())
        objective = Classification(made, MeanSquaredError() if self.optimizer.needs_residuals else CrossEntropy())
        parameters = tuple(p for place in self.frozen for p in made.layers[place].parameters())
        size = "full" if self.optimizer.needs_residuals else 16
        regime = Regime(
            **{"epochs": EPOCHS, "batch_size": size, "frozen": Frozen(FROZEN, parameters), **self.options, **options}
        )
        inspector = NetworkInspector(made, objective, self.train)
        history = fit(objective, optimizer, self.train, self.held_out, regime, seed=5, watch=watch, inspector=inspector)
        return {name: tensor.clone() for name, tensor in made.state_dict().items()}, history


@each_optimizer
@pytest.mark.parametrize("frozen", [(0,), (0, 1), (1,)], ids=str)
def test_frozen_layers_keep_every_bit_and_the_others_learn(
    network: Any, blobs: Any, watch: Any, optimizer: Optimizer, frozen: tuple[int, ...]
) -> None:
    case = Case(network, blobs, optimizer, frozen)
    first = network(LAYERS, (2,)).state_dict()
    meanwhile, _ = case.run(watch(), epochs=FROZEN)
    afterwards, _ = case.run(watch())
    for name, tensor in first.items():
        held = int(name.split(".")[1]) in frozen
        assert torch.equal(meanwhile[name], tensor) == held, name
        assert not torch.equal(afterwards[name], meanwhile[name]), name


def test_penalties_limits_and_averages_leave_frozen_layers_alone(network: Any, blobs: Any, watch: Any) -> None:
    limits = Regularisation(l1=0.1, l2=0.1, max_norm=0.01, clip_norm=0.5)
    case = Case(network, blobs, Sgd(learning_rate=0.1), (0,), regularisation=limits, averaging=Ema(decay=0.9))
    first = network(LAYERS, (2,)).state_dict()["layers.0.weight"]
    meanwhile, _ = case.run(watch(), epochs=FROZEN)
    assert torch.equal(meanwhile["layers.0.weight"], first)
    assert float(first.norm(dim=1).max()) > 0.01
    afterwards, _ = case.run(watch(), averaging=None)
    assert float(afterwards["layers.0.weight"].norm(dim=1).max()) <= 0.010001


def test_the_layers_above_learn_as_if_what_is_below_were_their_data(network: Any, blobs: Any, watch: Any) -> None:
    case = Case(network, blobs, Adam(learning_rate=0.05), (0,), epochs=FROZEN)
    whole, _ = case.run(watch())
    below = network(LAYERS, (2,))
    above = network(LAYERS[1:], (6,))
    for mine, theirs in zip(above.layers, below.layers[1:], strict=True):
        mine.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        seen = [Examples(torch.tanh(below.layers[0](data.x)), data.y) for data in (case.train, case.held_out)]
    optimizer = case.optimizer.build(above.parameters())
    fit(Classification(above, CrossEntropy()), optimizer, *seen, Regime(FROZEN, 16), seed=5, watch=watch())
    for name, tensor in above.state_dict().items():
        place = int(name.split(".")[1]) + 1
        torch.testing.assert_close(whole[f"layers.{place}.{name.split('.')[2]}"], tensor)


@pytest.mark.parametrize("stop_at", [2, 8, 9, 13], ids="look {}".format)
@pytest.mark.parametrize("optimizer", [o for o in OPTIMIZERS if not o.needs_residuals], ids=lambda one: one.kind)
def test_a_fit_that_was_stopped_while_frozen_or_after_goes_on_to_the_same_bits(
    network: Any, blobs: Any, watch: Any, optimizer: Optimizer, stop_at: int
) -> None:
    """Four looks an epoch: in the first, at the end of the last frozen one, at the next one's first batch, later."""
    case = Case(network, blobs, optimizer, (0, 1))
    weights, history = case.run(watch())
    first = watch(stop_at=stop_at)
    with pytest.raises(Interrupted):
        case.run(first)
    resumed, after = case.run(watch(states=first.states), seed=99)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in weights.items())
    assert after.without_times() == history.without_times()
    assert after.inside == history.inside


@pytest.mark.parametrize("stop_at", [1, 2, 3])
@each_optimizer
def test_on_all_examples_at_once_too(network: Any, blobs: Any, watch: Any, optimizer: Optimizer, stop_at: int) -> None:
    """What goes on from step to step begins anew when there are more weights: directions, curvature, mu."""
    case = Case(network, blobs, optimizer, (0,), batch_size="full")
    weights, _ = case.run(watch())
    first = watch(stop_at=stop_at)
    with pytest.raises(Interrupted):
        case.run(first)
    resumed, _ = case.run(watch(states=first.states), seed=99)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in weights.items())


def test_an_optimizer_that_is_done_while_layers_are_frozen_does_not_end_the_fit(
    network: Any, blobs: Any, watch: Any
) -> None:
    levenberg = next(o for o in OPTIMIZERS if o.kind == "levenberg_marquardt").model_copy(update={"min_grad": 1e3})
    _, history = Case(network, blobs, levenberg, (0,)).run(watch())
    assert len(history.records) == FROZEN + 1
    assert history.stopped == "min_grad"


def test_frozen_layers_have_no_gradient_and_no_update_to_look_at(network: Any, blobs: Any, watch: Any) -> None:
    _, history = Case(network, blobs, Sgd(learning_rate=0.1), (0,)).run(watch())
    looks = [look["0"] for look in history.inside]
    assert [look["gradient_norm"] > 0 for look in looks] == [False] * (FROZEN + 1) + [True] * (EPOCHS - FROZEN)
    assert [look["update_norm"] > 0 for look in looks[1:]] == [False] * FROZEN + [True] * (EPOCHS - FROZEN)


def test_after_the_fit_nothing_is_frozen_any_more(network: Any, blobs: Any, watch: Any) -> None:
    made = network(LAYERS, (2,))
    frozen = Frozen(9, tuple(made.layers[0].parameters()))
    objective = Classification(made, CrossEntropy())
    fit(objective, Sgd().build(made.parameters()), blobs(62), None, Regime(2, frozen=frozen), seed=5, watch=watch())
    assert all(parameter.requires_grad for parameter in made.parameters())
