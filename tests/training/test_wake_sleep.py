"""The up-down algorithm's gradients against enumeration and autograd, and what a spec may not ask of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.errors import Interrupted, StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.spec import members
from nnpipe.training.algorithms.algorithm import Learning
from nnpipe.training.algorithms.up_down import UpDown
from nnpipe.training.classification import Classification
from nnpipe.training.examples import Examples
from nnpipe.training.inspection import NetworkInspector
from nnpipe.training.loop import fit
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime
from nnpipe.training.train import Train
from nnpipe.training.wake_sleep import ContrastiveWakeSleep

INPUTS, UNITS, HIDDEN, CLASSES = 5, (4, 3), 3, 3
TOP = {"kind": "classification_rbm", "hidden": HIDDEN, "classes": CLASSES}
LAYERS = [*({"kind": "dense", "units": units, "activation": "sigmoid"} for units in UNITS), TOP]
SURE = 60.0  # a sum whose sigmoid is 1 in float32


def objective_of(network: Any, layers: list[Any] = LAYERS, seed: int = 0, **options: Any) -> ContrastiveWakeSleep:
    """All of its weights and biases drawn at random, so that the two ways are not each other's transposed."""
    objective = ContrastiveWakeSleep(network(layers, (INPUTS,), seed), (), 62, seed, **options)
    draws = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in objective.module.parameters():
            parameter.normal_(0, 0.8, generator=draws)
    return objective


def certain(layer: nn.Linear, states: Tensor) -> None:
    """Let the layer's units be ``states`` whatever it is given."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_((2 * states - 1) * SURE)


def gradients(parameters: Iterable[nn.Parameter]) -> list[np.ndarray]:
    found = [parameter.grad for parameter in parameters]
    return [grad.numpy().copy() for grad in found if grad is not None]


def exact(layer: nn.Linear, given: Tensor, wanted: Tensor) -> list[np.ndarray]:
    """By autograd, of the mean over examples of -log p(wanted | given)."""
    layer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(layer(given), wanted, reduction="sum") / len(given)
    found = torch.autograd.grad(loss, [layer.weight, layer.bias])
    return [grad.numpy() for grad in found]


def batch(rows: int = 7) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(3)
    return torch.rand(rows, INPUTS, generator=draws), torch.randint(0, CLASSES, (rows,), generator=draws)


def test_the_wake_phase_teaches_generative_weights_the_likelihood_of_the_layer_below(network: Any) -> None:
    objective, (x, y) = objective_of(network), batch()
    states = [torch.tensor([1.0, 0, 1, 1]), torch.tensor([0.0, 1, 1])]
    for layer, on in zip(objective.module.recognition, states, strict=True):
        certain(layer, on)
    objective.gradient(x, y)
    wake = [x, *(on.expand(len(x), -1) for on in states)]
    for k, layer in enumerate(objective.module.generative.layers):
        found = gradients(layer.parameters())
        for one, expected in zip(found, exact(layer, wake[k + 1], wake[k]), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)
            assert np.abs(expected).max() > 0.05


def test_the_sleep_phase_teaches_recognition_weights_the_likelihood_of_the_layer_above(network: Any) -> None:
    objective, (x, y) = objective_of(network), batch()
    net, dreamt = objective.module, torch.tensor([1.0, 0, 1])
    middle, pixels = torch.tensor([0.0, 1, 1, 0]), torch.tensor([0.1, 0.9, 0.5, 0.3, 0.7])
    with torch.no_grad():  # the top machine dreams one thing only, and so does the way down
        net.machine.weight.zero_()
        net.generative.visible_bias.copy_((2 * dreamt - 1) * SURE)
        certain(net.generative.layers[1], middle)
        net.generative.layers[0].weight.zero_()
        net.generative.layers[0].bias.copy_(pixels.logit())  # not sampled: these are the data of the dream
    objective.gradient(x, y)
    sleep = [one.expand(len(x), -1) for one in (pixels, middle, dreamt)]
    for k, layer in enumerate(net.recognition):
        found = gradients(layer.parameters())
        for one, expected in zip(found, exact(layer, sleep[k], sleep[k + 1]), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)
            assert np.abs(expected).max() > 0.05


def on(probabilities: np.ndarray, states: np.ndarray) -> float:
    return float(np.prod(np.where(states == 1, probabilities, 1 - probabilities)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_top_machine_learns_the_difference_between_what_it_saw_and_dreamt_by_enumeration(
    network: Any, steps: int
) -> None:
    objective = objective_of(network, [TOP], gibbs_steps=steps)
    machine, visible_bias = objective.module.machine, objective.module.generative.visible_bias
    learned = (machine.weight, machine.label_weight, machine.bias, machine.label_bias, visible_bias)
    w, u, b, d, a = (parameter.detach().double().numpy() for parameter in learned)
    v, y = np.array([1.0, 0, 1, 1, 0]), 2
    seen, expected = np.eye(CLASSES)[y], [np.zeros_like(p) for p in (w, u, b, d, a)]
    hidden, visible = (np.array(list(product((0.0, 1.0), repeat=units))) for units in (HIDDEN, INPUTS))

    def count(p: float, h: np.ndarray, v: np.ndarray, labels: np.ndarray) -> None:
        for total, part in zip(expected, (np.outer(h, v), np.outer(h, labels), h, labels, v), strict=True):
            total += p * part

    likely = np.array([on(sigmoid(b + w @ v + u @ seen), h) for h in hidden])
    for p, h in zip(likely, hidden, strict=True):
        count(-p, h, v, seen)
    for step in range(steps):
        after = np.zeros(len(hidden))
        for p, h in zip(likely, hidden, strict=True):
            labels = np.exp(d + h @ u) / np.exp(d + h @ u).sum()
            for dream in visible:
                p_dream, top = p * on(sigmoid(a + h @ w), dream), sigmoid(b + w @ dream + u @ labels)
                after += p_dream * np.array([on(top, state) for state in hidden])
                if step == steps - 1:
                    count(p_dream, top, dream, labels)
        likely = after
    objective.gradient(torch.from_numpy(v).float().repeat(60_000, 1), torch.full((60_000,), y))
    for found, wanted in zip(gradients(learned), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.01)
        assert np.abs(wanted).max() > 0.05


def test_steps_go_with_the_epochs(network: Any) -> None:
    objective = objective_of(network, gibbs_steps=[(0, 3), (2, 6), (3.5, 10)])
    x, y = batch(31)  # half an epoch of 62
    found = []
    for _ in range(8):
        found.append(objective.steps_now())
        objective.gradient(x, y)
    assert found == [3, 3, 3, 3, 6, 6, 6, 10]
    assert objective_of(network, gibbs_steps=4).steps_now() == 4


def test_it_measures_what_backpropagation_would(network: Any) -> None:
    objective, (x, y) = objective_of(network), batch()
    expected = Classification(objective.module.network, CrossEntropy()).measure(x, y)
    for found in (objective.measure(x, y), objective.gradient(x, y)):
        assert set(found) == {"loss", "accuracy"}
        torch.testing.assert_close(found["loss"], expected["loss"].detach())
        assert found["accuracy"] == expected["accuracy"]
    assert all(parameter.grad is not None for parameter in objective.module.parameters())


def test_the_way_down_starts_as_the_way_up_transposed_with_pretrained_biases(network: Any) -> None:
    made, rng = network(LAYERS, (INPUTS,)), np.random.default_rng(0)
    pretrained = [{"visible_bias": rng.normal(size=size).astype(np.float32)} for size in (INPUTS, UNITS[0])]
    generative = ContrastiveWakeSleep(made, pretrained, 62, 0).module.generative
    for layer, up, tensors in zip(generative.layers, made.layers, pretrained, strict=False):
        assert torch.equal(layer.weight, up.weight.T)
        assert torch.equal(layer.bias, torch.from_numpy(tensors["visible_bias"]))
    assert torch.equal(generative.visible_bias, torch.zeros(UNITS[1]))
    shapes = {name: tuple(tensor.shape) for name, tensor in generative.state_dict().items()}
    assert shapes == {
        "layers.0.weight": (5, 4),
        "layers.0.bias": (5,),
        "layers.1.weight": (4, 3),
        "layers.1.bias": (4,),
        "visible_bias": (3,),
    }


def examples(seed: int) -> Examples:
    draws = torch.Generator().manual_seed(seed)
    return Examples(torch.rand(62, INPUTS, generator=draws), torch.randint(0, CLASSES, (62,), generator=draws))


@pytest.mark.parametrize("stop_at", [1, 5, 7], ids="look {}".format)
def test_a_resumed_fit_gives_the_same_bits(network: Any, watch: Any, stop_at: int) -> None:
    def learn(seen_by: Any, seed_of_weights: int = 0) -> tuple[bytes, Any]:
        made: Network = network(LAYERS, (INPUTS,), seed_of_weights)
        objective = ContrastiveWakeSleep(made, (), 62, 4, [(0, 1), (1, 2)])
        optimizer = Sgd(learning_rate=0.05, momentum=0.9).build(objective.module.parameters())
        inspector, regime = NetworkInspector(made, objective, examples(0)), Regime(3, 16)
        history = fit(
            objective, optimizer, examples(0), examples(1), regime, seed=5, watch=seen_by, inspector=inspector
        )
        assert int(objective.module.examples_seen) == 3 * 62  # whoever looks inside leaves the time as it was
        return b"".join(t.numpy().tobytes() for t in objective.module.state_dict().values()), history.without_times()

    state = torch.get_rng_state()
    whole, first = learn(watch()), watch(stop_at=stop_at)
    with pytest.raises(Interrupted):
        learn(first)
    assert learn(watch(states=first.states), 99) == whole
    assert torch.get_rng_state().equal(state)


def train_of(**settings: Any) -> Train:
    return Train.model_validate({"algorithm": "up_down", "optimizer": "sgd", **settings})


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"optimizer": "conjugate_gradient"}, "optimizer"),
        ({"optimizer": "muon"}, "optimizer"),
        ({"loss": {"kind": "cross_entropy", "label_smoothing": 0.1}}, "loss"),
        ({"loss": "hinge"}, "loss"),
        ({"precision": "bfloat16"}, "precision"),
        ({"frozen_epochs": 2}, "frozen_epochs"),
        ({"start": {"from": "another"}}, "start"),
    ],
    ids=str,
)
def test_settings_that_it_has_no_use_for_are_refused(settings: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match="up_down") as refused:
        train_of(**settings)
    assert refused.value.errors()[0]["ctx"]["path"] == [place]


def test_every_optimizer_that_follows_a_gradient_is_welcome() -> None:
    kinds = []
    for member in members(AnyOptimizer):
        assert issubclass(member, Optimizer)
        if not (member.needs_value or member.needs_residuals or member.needs_depth):
            kinds.append(train_of(optimizer=member.model_fields["kind"].default).optimizer.kind)
    assert {"sgd", "adam", "rmsprop"} <= set(kinds)


@pytest.mark.parametrize(
    ("layers", "index"),
    [
        ([*LAYERS[:2], {"kind": "dense", "units": 3, "activation": "softmax"}], 2),
        ([*LAYERS[:2], {**TOP, "activation": "linear"}], 2),
        ([{"kind": "dense", "units": 4, "activation": "relu"}, TOP], 0),
        ([LAYERS[0], {"kind": "dropout", "rate": 0.5}, TOP], 1),
    ],
    ids=["no labels", "no probabilities", "not binary", "dropout"],
)
def test_networks_that_are_no_deep_belief_nets_are_refused(layers: list[Any], index: int) -> None:
    train = train_of()
    train.check(Model.model_validate({"layers": LAYERS}), (INPUTS,))
    train.check(Model.model_validate({"layers": [TOP]}), (INPUTS,))
    with pytest.raises(Exception, match="deep belief net") as refused:
        train.check(Model.model_validate({"layers": layers}), (INPUTS,))
    assert refused.value.context["path"] == ["model", "layers", index]


def test_gibbs_steps_are_a_number_or_points_in_order() -> None:
    assert UpDown(gibbs_steps=[[0, 3], [100, 6]]).gibbs_steps == ((0, 3), (100, 6))
    with pytest.raises(ValueError, match="do not grow"):
        UpDown(gibbs_steps=[[5, 3], [5, 6]])
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        UpDown(gibbs_steps=0)


def test_inputs_that_are_no_probabilities_are_refused(network: Any) -> None:
    for x, told in (
        (torch.full((3, INPUTS), 1.5), "from 1.5 to 1.5"),
        (torch.full((3, INPUTS), -1.0), "from -1 to -1"),
    ):
        with pytest.raises(StageError, match="reads values as probabilities") as refused:
            UpDown().objective(learning_of(network, Examples(x, torch.zeros(3, dtype=torch.int64))))
        assert told in str(refused.value)
    scaled = Examples(torch.full((3, INPUTS), 255.0), torch.zeros(3, dtype=torch.int64), Scaling(scale=255.0))
    assert UpDown().objective(learning_of(network, scaled)).measure(*scaled.rows(0, 3))["loss"] > 0


def learning_of(network: Any, learned_from: Examples) -> Learning:
    return Learning(network(LAYERS, (INPUTS,)), CrossEntropy(), "float32", learned_from, (), 0)
