"""The machine of inputs and labels against a table of all its states, and the gradient that teaches it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nnpipe.errors import Interrupted, StageError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.joint_machine import JointContrastiveDivergence, JointMachine
from nnpipe.pretraining.objective import Visible
from nnpipe.pretraining.pretrain import Pretrain
from nnpipe.pretraining.rbm import Rbm
from nnpipe.training.examples import Examples
from nnpipe.training.loop import fit
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

from .test_methods import PRECISIONS, MemoryWatch, gradient

INPUTS, HIDDEN, CLASSES = 3, 4, 3
ONE_HOT = np.eye(CLASSES)
LAYER = ClassificationRbm(hidden=HIDDEN, classes=CLASSES)


def states(units: int) -> np.ndarray:
    return np.array(list(product((0.0, 1.0), repeat=units)))


class Table:
    """p(v, y, h) of every state, from the definition of the energy alone."""

    def __init__(self, machine: JointMachine) -> None:
        p = {name: parameter.detach().double().numpy() for name, parameter in machine.named_parameters()}
        self.v, self.h = states(INPUTS), states(HIDDEN)
        negative = (
            (self.v @ p["visible_bias"])[:, None, None]
            + p["label_bias"][None, :, None]
            + (self.h @ p["bias"])[None, None]
            + np.einsum("vi,ji,hj->vh", self.v, p["weight"], self.h)[:, None]
            + (self.h @ p["label_weight"]).T[None]
        )
        self.joint = np.exp(negative) / np.exp(negative).sum()

    def expectations(self, p: np.ndarray) -> dict[str, np.ndarray]:
        """Of p, (v, y, h): what the gradient of the log-likelihood is made of."""
        return {
            "weight": np.einsum("vyh,hj,vi->ji", p, self.h, self.v),
            "label_weight": np.einsum("vyh,hj->jy", p, self.h),
            "bias": np.einsum("vyh,hj->j", p, self.h),
            "label_bias": p.sum((0, 2)),
            "visible_bias": self.v.T @ p.sum((1, 2)),
        }

    def gradient(self, seen: np.ndarray) -> dict[str, np.ndarray]:
        """d/dparameter of the mean log p(v, y) over ``seen``, (v, y), a distribution."""
        driven = seen[:, :, None] * self.joint / self.joint.sum(2, keepdims=True)
        data, model = self.expectations(driven), self.expectations(self.joint)
        return {name: data[name] - model[name] for name in data}


def objective_of(seed: int = 0, spread: float = 0.7, **options: Any) -> JointContrastiveDivergence:
    objective = JointContrastiveDivergence(LAYER, torch.full((INPUTS,), 0.5), seed, **options)
    draws = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in objective.module.parameters():
            parameter.normal_(0, spread, generator=draws)
    return objective


def gradients(objective: JointContrastiveDivergence) -> dict[str, np.ndarray]:
    return {name: p.grad.numpy().copy() for name, p in objective.module.named_parameters() if p.grad is not None}


def test_the_free_energy_and_the_classes_are_those_of_the_table() -> None:
    objective = objective_of()
    table = Table(objective.module).joint.sum(2)  # p(v, y)
    x, y = torch.from_numpy(states(INPUTS)).float(), torch.arange(8) % CLASSES
    own = np.log(table)[np.arange(8), y]
    measured = [objective.measure(x[i : i + 1], y[i : i + 1])["free_energy"].item() for i in range(8)]
    np.testing.assert_allclose(np.diff(measured), -np.diff(own), rtol=1e-4, atol=1e-5)
    assert objective.measure(x, y)["accuracy"].item() == (table.argmax(1) == y.numpy()).sum()
    np.testing.assert_allclose(
        objective.module(x).softmax(1).detach(), table / table.sum(1, keepdims=True), rtol=1e-4, atol=1e-6
    )


def test_it_represents_as_the_layer_will() -> None:
    objective, x = objective_of(3), torch.rand(5, 1, 1, INPUTS, generator=torch.Generator().manual_seed(0))
    found = objective.represent(x)
    assert not found.requires_grad
    torch.testing.assert_close(found, objective.module(x.flatten(1)).softmax(1).detach())


@pytest.mark.parametrize("options", [{"steps": 30}, {"steps": 15, "chains": 20_000}], ids=["cd", "pcd"])
def test_long_chains_give_the_gradient_of_the_log_likelihood(options: dict[str, Any]) -> None:
    objective = objective_of(5, **options)
    draws = np.random.default_rng(0)
    rows, labels = draws.integers(0, 8, 20_000), draws.integers(0, CLASSES, 20_000)
    seen = np.zeros((8, CLASSES))
    np.add.at(seen, (rows, labels), 1 / len(rows))
    x = torch.from_numpy(states(INPUTS)[rows]).float()
    for _ in range(2 if "chains" in options else 1):
        objective.gradient(x, torch.from_numpy(labels))
    expected = Table(objective.module).gradient(seen)
    for name, found in gradients(objective).items():
        np.testing.assert_allclose(-found, expected[name], atol=0.02, err_msg=name)
        assert np.abs(expected[name]).max() > 0.04, name


def test_one_step_from_the_data_averages_to_what_enumeration_says() -> None:
    # Hidden states are sampled once; what follows is probabilities, so its mean over them can be written out.
    objective = objective_of(7)
    v, y = np.array([1.0, 0.0, 1.0]), 2
    machine = {name: p.detach().double().numpy() for name, p in objective.module.named_parameters()}

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def hidden(v: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return sigmoid(machine["bias"] + machine["weight"] @ v + machine["label_weight"] @ labels)

    first, expected = hidden(v, ONE_HOT[y]), {name: np.zeros_like(value) for name, value in machine.items()}
    for h in states(HIDDEN):
        likely = np.prod(np.where(h == 1, first, 1 - first))
        model_v = sigmoid(machine["visible_bias"] + h @ machine["weight"])
        scores = np.exp(machine["label_bias"] + h @ machine["label_weight"])
        model_labels = scores / scores.sum()
        model_h = hidden(model_v, model_labels)
        expected["weight"] += likely * (np.outer(model_h, model_v) - np.outer(first, v))
        expected["label_weight"] += likely * (np.outer(model_h, model_labels) - np.outer(first, ONE_HOT[y]))
        expected["bias"] += likely * (model_h - first)
        expected["label_bias"] += likely * (model_labels - ONE_HOT[y])
        expected["visible_bias"] += likely * (model_v - v)
    objective.gradient(torch.from_numpy(v).float().repeat(40_000, 1), torch.full((40_000,), y))
    for name, found in gradients(objective).items():
        np.testing.assert_allclose(found, expected[name], atol=0.01, err_msg=name)


def test_weight_decay_pulls_both_kinds_of_weights_and_no_bias() -> None:
    x, y = torch.rand(6, INPUTS, generator=torch.Generator().manual_seed(0)), torch.arange(6) % CLASSES
    plain, decayed = objective_of(2), objective_of(2, weight_decay=0.3)
    for objective in (plain, decayed):
        objective.gradient(x, y)
    without, with_decay = gradients(plain), gradients(decayed)
    for name, parameter in plain.module.named_parameters():
        pull = 0.3 * parameter.detach().numpy() if parameter.ndim > 1 else 0
        np.testing.assert_allclose(with_decay[name] - without[name], pull, atol=1e-6)


def labelled(seed: int, rows: int = 62) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    return Examples(torch.rand(rows, 1, 3, 4, generator=draw), torch.randint(0, 3, (rows,), generator=draw))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", [Rbm(), Rbm(sampler="pcd", chains=7, steps=2)], ids=["cd", "pcd"])
def test_what_was_interrupted_goes_on_to_the_same_bits(method: Rbm, precision: Precision) -> None:
    seen = Visible((12,), torch.full((12,), 0.5), torch.full((12,), 0.5), classes=3)
    layer = ClassificationRbm(hidden=5, classes=3)

    def learn(watch: MemoryWatch, seed: int = 4) -> bytes:
        objective = method.objective(layer, None, seen, seed, precision)
        gradient = objective.gradient

        def watched(x: Any, y: Any) -> Any:
            watch.look()
            return gradient(x, y)

        objective.gradient = watched  # type: ignore[method-assign]
        steps = Sgd(learning_rate=0.05, momentum=0.9).build(objective.module.parameters())
        fit(objective, steps, labelled(0), labelled(1), Regime(3, 16), seed=seed, watch=watch)
        return b"".join(t.numpy().tobytes() for t in objective.module.state_dict().values())

    whole, states_ = learn(MemoryWatch([])), []
    assert whole == learn(MemoryWatch([])) != learn(MemoryWatch([]), 5)
    with pytest.raises(Interrupted):
        learn(MemoryWatch(states_, 5))
    assert learn(MemoryWatch(states_)) == whole


def test_in_bfloat16_the_gradient_is_nearly_the_same_and_what_is_measured_is_the_same() -> None:
    seen = Visible((12,), torch.full((12,), 0.5), torch.full((12,), 0.5), classes=3)
    x, y = labelled(0).rows(0, 62)
    full, half = (
        Rbm().objective(ClassificationRbm(hidden=5, classes=3), None, seen, 4, precision) for precision in PRECISIONS
    )
    exact, rounded = gradient(full, x, y), gradient(half, x, y)
    assert 0 < float((exact - rounded).norm()) < 0.1 * float(exact.norm())
    assert half.measure(x, y) == full.measure(x, y)


MODEL = {
    "layers": [
        {"kind": "dense", "units": 6, "activation": "sigmoid"},
        {"kind": "classification_rbm", "hidden": 5, "classes": 3},
    ]
}


def check(method: Any, model: Any = MODEL, layers: int | None = 2) -> None:
    Pretrain.model_validate({"method": method, "layers": layers}).check(Model.model_validate(model))


def test_the_method_rbm_teaches_it_with_labels_and_others_do_not() -> None:
    check("rbm")
    layer = ClassificationRbm(hidden=5, classes=3)
    assert Rbm().needs_labels(layer)
    with pytest.raises(Exception, match="autoencoder cannot teach classification_rbm") as refused:
        check(Autoencoder())
    assert refused.value.context["path"] == ["model", "layers", 1]
    check(Autoencoder(), layers=1)
    check("rbm", layers=None)


def test_data_of_other_classes_are_refused() -> None:
    seen = Visible((12,), torch.full((12,), 0.5), torch.full((12,), 0.5), classes=4)
    with pytest.raises(StageError, match="others in the data"):
        Rbm().objective(ClassificationRbm(hidden=5, classes=3), None, seen, 0)


def test_a_layer_of_one_class_is_none() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        ClassificationRbm(hidden=5, classes=1)
