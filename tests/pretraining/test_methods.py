"""What holds for every method of pretraining; a new one is tested by being in the list."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining import AnyMethod
from nnpipe.pretraining.activity_penalty import ActivityPenalty
from nnpipe.pretraining.autoencoder import Autoencoder, Emphasis
from nnpipe.pretraining.doubled_rbm import DoubledRbm
from nnpipe.pretraining.method import Method
from nnpipe.pretraining.objective import LayerObjective, Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.pretraining.sparsity import Sparsity
from nnpipe.spec import members
from nnpipe.training.examples import Examples
from nnpipe.training.loop import fit
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.precision import Precision
from nnpipe.training.regime import Regime

LAYER = Dense(units=5, activation="sigmoid")
CONVOLUTION = Conv2d(filters=4, kernel=(2, 2), activation="sigmoid")
SHAPE = (1, 3, 4)
SEEN = Visible(SHAPE, torch.full((12,), 0.5), torch.full((12,), 0.5), classes=2, count=62)
LISTED: list[type[Method]] = list(members(AnyMethod))
METHODS = [
    *(method() for method in LISTED),
    Rbm(steps=3),
    Rbm(steps=((0, 1), (1, 2))),
    Rbm(sampler="pcd", chains=7),
    Rbm(sampler="parallel_tempering", chains=7, temperatures=3),
    Rbm(visible="gaussian"),
    Rbm(visible="gaussian", variance="learned"),
    Rbm(sparsity=Sparsity(target=0.3)),
    DoubledRbm(doubled="visible"),
    DoubledRbm(doubled="hidden", rbm=Rbm(sampler="pcd", chains=7)),
    Autoencoder(corruption="gaussian", tied=False, loss="mean_squared_error"),
    Autoencoder(corruption="salt_and_pepper", emphasis=Emphasis()),
    Autoencoder(level=0, sparsity=ActivityPenalty(weight=0.01), contraction=0.01),
]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
CONVOLVING = [method for method in METHODS if "conv2d" in method.teaches]


def name(method: Method) -> str:
    return "-".join(str(value) for value in method.model_dump(exclude_defaults=True).values()) or method.kind


class MemoryWatch:
    """Keeps states in a list; wants to stop after some looks."""

    def __init__(self, states: list[Any], looks: int | None = None) -> None:
        self.states, self.looks, self.stopping = states, looks, Event()
        self.checkpoints = self

    def load(self) -> Any:
        return self.states[-1] if self.states else None

    def save(self, tensors: Any, document: Any) -> None:
        self.states.append(({key: np.array(value) for key, value in tensors.items()}, document))

    def due(self) -> bool:
        return False

    def epoch(self, record: Any, epochs: int) -> None:
        self.look()

    def advanced(self, done: int, total: int, measures: Any) -> None: ...

    def look(self) -> None:
        if self.looks is not None:
            self.looks -= 1
            if self.looks == 0:
                self.stopping.set()


def images(seed: int) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    return Examples(torch.rand(62, *SHAPE, generator=draw), torch.randint(2, (62,), generator=draw))


def learn(
    method: Method,
    watch: MemoryWatch,
    optimizer: Optimizer,
    seed: int = 4,
    layer: Dense | Conv2d = LAYER,
    precision: Precision = "float32",
) -> tuple[bytes, list[Any]]:
    objective = method.objective(layer, None, SEEN, seed, precision)
    gradient = objective.gradient

    def watched(x: Any, y: Any) -> Any:
        watch.look()
        return gradient(x, y)

    objective.gradient = watched  # type: ignore[method-assign]
    steps = optimizer.build(objective.module.parameters())
    history = fit(objective, steps, images(0), images(1), Regime(3, 16), seed=seed, watch=watch)
    return b"".join(t.numpy().tobytes() for t in objective.module.state_dict().values()), history.without_times()


@pytest.mark.parametrize("method", METHODS, ids=name)
class TestEveryMethod:
    def test_it_keeps_what_fine_tuning_starts_from(self, method: Method) -> None:
        module = method.objective(LAYER, None, SEEN, 0).module
        shapes = {key: tuple(parameter.shape) for key, parameter in module.named_parameters()}
        assert (shapes["weight"], shapes["bias"]) == ((5, 12), (5,))
        # What there is to decode with has these names and shapes.
        assert shapes.get("visible_bias", (12,)) == (12,)
        assert shapes.get("decoder_weight", (12, 5)) == (12, 5)
        assert method.needs_labels(LAYER) or "visible_bias" in shapes

    def test_it_represents_as_the_layer_will(self, method: Method) -> None:
        objective = method.objective(LAYER, None, SEEN, 0)
        x = torch.rand(9, 1, 3, 4, generator=torch.Generator().manual_seed(0))
        weight, bias = (objective.module.get_parameter(key) for key in ("weight", "bias"))
        expected = torch.sigmoid(x.flatten(1) @ weight.T + bias)
        found = objective.represent(x)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected)

    def test_it_learns(self, method: Method) -> None:
        objective = method.objective(LAYER, None, SEEN, 0)
        x = torch.tensor(np.repeat(np.eye(4, dtype=np.float32), 3, axis=1)).repeat(4, 1)
        y = torch.tensor([0, 1, 1, 0]).repeat(4)
        optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.05, momentum=0.5)
        measure = "loss" if method.needs_labels(LAYER) else "reconstruction_error"
        before = objective.measure(x, y)[measure].item()
        for _ in range(400):
            objective.gradient(x, y)
            optimizer.step()
        assert objective.measure(x, y)[measure].item() < 0.7 * before

    def test_one_seed_gives_the_same_bytes_and_another_others(self, method: Method) -> None:
        state = torch.get_rng_state()
        one, again, other = (learn(method, MemoryWatch([]), Sgd(learning_rate=0.05), seed) for seed in (4, 4, 5))
        assert one == again
        assert one[0] != other[0]
        assert torch.get_rng_state().equal(state)

    @pytest.mark.parametrize("looks", [1, 5, 7])
    def test_what_was_interrupted_goes_on_to_the_same_bits(self, method: Method, looks: int) -> None:
        optimizer = Sgd(learning_rate=0.05, momentum=0.9)
        whole = learn(method, MemoryWatch([]), optimizer)
        states: list[Any] = []
        with pytest.raises(Interrupted):
            learn(method, MemoryWatch(states, looks), optimizer)
        assert learn(method, MemoryWatch(states), optimizer) == whole

    def test_what_is_measured_while_learning_is_measured_without_it_too(self, method: Method) -> None:
        objective, x, y = method.objective(LAYER, None, SEEN, 0), torch.full((4, 12), 0.25), torch.tensor([0, 1, 1, 1])
        learned, measured = objective.gradient(x, y), objective.measure(x, y)
        assert set(learned) <= set(measured)
        assert method.needs_labels(LAYER) or "reconstruction_error" in learned
        assert ("loss" in learned) == method.has_loss
        assert all(value.ndim == 0 and not value.requires_grad for value in learned.values())


def gradient(objective: LayerObjective, x: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
    """Of all parameters, float32, in one piece."""
    objective.gradient(x, y)
    gradients = [p.grad for p in objective.module.parameters() if p.grad is not None]
    assert {each.dtype for each in gradients} == {torch.float32}
    return torch.cat([each.flatten() for each in gradients])


@pytest.mark.parametrize("method", METHODS, ids=name)
class TestEveryMethodInBfloat16:
    def test_its_products_are_rounded_and_nothing_else_is(self, method: Method) -> None:
        examples = images(0)
        x, y = examples.rows(0, len(examples))
        full, half = (method.objective(LAYER, None, SEEN, 0, precision) for precision in PRECISIONS)
        exact, rounded = (gradient(objective, x, y) for objective in (full, half))
        assert 0 < float((exact - rounded).norm()) < 0.1 * float(exact.norm())
        assert half.measure(x, y) == full.measure(x, y)

    def test_what_was_interrupted_goes_on_to_the_same_bits(self, method: Method) -> None:
        optimizer = Sgd(learning_rate=0.05, momentum=0.9)
        whole = learn(method, MemoryWatch([]), optimizer, precision="bfloat16")
        assert whole != learn(method, MemoryWatch([]), optimizer)
        states: list[Any] = []
        with pytest.raises(Interrupted):
            learn(method, MemoryWatch(states, 5), optimizer, precision="bfloat16")
        assert learn(method, MemoryWatch(states), optimizer, precision="bfloat16") == whole


@pytest.mark.parametrize("method", CONVOLVING, ids=name)
class TestEveryMethodOfConvolutions:
    def test_it_keeps_what_fine_tuning_starts_from(self, method: Method) -> None:
        module = method.objective(CONVOLUTION, None, SEEN, 0).module
        shapes = {key: tuple(parameter.shape) for key, parameter in module.named_parameters()}
        assert (shapes["weight"], shapes["bias"]) == ((4, 1, 2, 2), (4,))
        assert shapes.get("visible_bias", (1,)) == (1,)
        assert shapes.get("decoder_weight", (4, 1, 2, 2)) == (4, 1, 2, 2)

    def test_it_represents_as_the_layer_will(self, method: Method) -> None:
        objective = method.objective(CONVOLUTION, None, SEEN, 0)
        x = torch.rand(9, *SHAPE, generator=torch.Generator().manual_seed(0))
        weight, bias = (objective.module.get_parameter(key) for key in ("weight", "bias"))
        found = objective.represent(x)
        assert not found.requires_grad
        torch.testing.assert_close(found, torch.nn.functional.conv2d(x, weight, bias).sigmoid())

    def test_what_was_interrupted_goes_on_to_the_same_bits(self, method: Method) -> None:
        optimizer = Sgd(learning_rate=0.05, momentum=0.9)
        whole = learn(method, MemoryWatch([]), optimizer, layer=CONVOLUTION)
        states: list[Any] = []
        with pytest.raises(Interrupted):
            learn(method, MemoryWatch(states, 5), optimizer, layer=CONVOLUTION)
        assert learn(method, MemoryWatch(states), optimizer, layer=CONVOLUTION) == whole


def test_an_autoencoder_resumes_under_conjugate_gradient() -> None:
    method, optimizer = Autoencoder(), ConjugateGradient(line_searches=2)
    whole = learn(method, MemoryWatch([]), optimizer)
    states: list[Any] = []
    with pytest.raises(Interrupted):
        learn(method, MemoryWatch(states, 9), optimizer)
    assert learn(method, MemoryWatch(states), optimizer) == whole
