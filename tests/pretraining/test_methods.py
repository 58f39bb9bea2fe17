"""What holds for every method of pretraining; a new one is tested by being in the list."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import Interrupted
from nnpipe.models.layers.dense import Dense
from nnpipe.pretraining import AnyMethod
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.method import Method
from nnpipe.pretraining.objective import Visible
from nnpipe.pretraining.rbm import Rbm
from nnpipe.spec import members
from nnpipe.training.examples import Examples
from nnpipe.training.loop import fit
from nnpipe.training.optimizers.conjugate_gradient import ConjugateGradient
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regime import Regime

LAYER = Dense(units=5, activation="sigmoid")
SEEN = Visible((12,), torch.full((12,), 0.5), torch.full((12,), 0.5), classes=2)
LISTED: list[type[Method]] = list(members(AnyMethod))
METHODS = [
    *(method() for method in LISTED),
    Rbm(steps=3),
    Rbm(sampler="pcd", chains=7),
    Autoencoder(corruption="gaussian", tied=False, loss="mean_squared_error"),
    Autoencoder(corruption="salt_and_pepper"),
]


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
    return Examples(torch.rand(62, 1, 3, 4, generator=draw))


def learn(method: Method, watch: MemoryWatch, optimizer: Optimizer, seed: int = 4) -> tuple[bytes, list[Any]]:
    objective = method.objective(LAYER, None, SEEN, seed)
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
        assert shapes.pop("decoder_weight", (12, 5)) == (12, 5)
        assert shapes == {"weight": (5, 12), "bias": (5,), "visible_bias": (12,)}

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
        optimizer = torch.optim.SGD(objective.module.parameters(), lr=0.05, momentum=0.5)
        before = objective.measure(x, None)["reconstruction_error"].item()
        for _ in range(400):
            objective.gradient(x, None)
            optimizer.step()
        assert objective.measure(x, None)["reconstruction_error"].item() < 0.7 * before

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

    def test_measures_have_the_same_names_with_and_without_learning(self, method: Method) -> None:
        objective, x = method.objective(LAYER, None, SEEN, 0), torch.full((4, 12), 0.25)
        learned, measured = objective.gradient(x, None), objective.measure(x, None)
        assert set(learned) == set(measured)
        assert "reconstruction_error" in learned
        assert ("loss" in learned) == method.has_loss
        assert all(value.ndim == 0 and not value.requires_grad for value in learned.values())


def test_an_autoencoder_resumes_under_conjugate_gradient() -> None:
    method, optimizer = Autoencoder(), ConjugateGradient(line_searches=2)
    whole = learn(method, MemoryWatch([]), optimizer)
    states: list[Any] = []
    with pytest.raises(Interrupted):
        learn(method, MemoryWatch(states, 9), optimizer)
    assert learn(method, MemoryWatch(states), optimizer) == whole
