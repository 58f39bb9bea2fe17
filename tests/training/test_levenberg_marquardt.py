"""Levenberg-Marquardt against MINPACK, against NIST's certified values, and its derivatives against differences."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.optimize import least_squares
from torch import Tensor, nn
from torch.func import functional_call

from nnpipe.errors import StageError
from nnpipe.pipeline.spec import Spec
from nnpipe.training.batch import Batch
from nnpipe.training.classification import Classification
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.optimizers import damped_least_squares as implementation
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.damped_least_squares import DampedLeastSquares
from nnpipe.training.optimizers.normal_equations import normal_equations
from nnpipe.training.regularisation import Regularisation
from nnpipe.training.train import Train

# Misra1a of NIST's Statistical Reference Datasets: y = b1 (1 - exp(-b2 x)).
MISRA_Y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]
MISRA_X = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]
MISRA_START, MISRA_SUM = [250.0, 0.0005], 1.2455138894e-01


class Misra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.tensor(MISRA_START, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.b[0] * (1 - torch.exp(-self.b[1] * x))


class Regression:
    """The mean squared error of a module's outputs, as an objective."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.generators = module, dict[str, torch.Generator]()

    def gradient(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        self.module.zero_grad()
        loss = (self.module(x) - y).square().mean()
        loss.backward()
        return {"loss": loss.detach() * len(x)}

    def measure(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        raise NotImplementedError

    def residuals(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor | None) -> Tensor:
        outputs: Tensor = functional_call(self.module, dict(parameters), (x,))
        return outputs - y


def tanh_network(inputs: int, hidden: int, seed: int, spread: float = 0.7) -> nn.Module:
    module = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 1)).double()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, spread, generator=draw)
    return module


def sine() -> tuple[nn.Module, Tensor, Tensor]:
    x = torch.linspace(-3, 3, 40, dtype=torch.float64).unsqueeze(1)
    return tanh_network(1, 2, seed=7), x, torch.sin(x)


def noisy() -> tuple[nn.Module, Tensor, Tensor]:
    """What a network says, with noise; to be found again from weights that are not far."""
    module, draw = tanh_network(2, 3, seed=9, spread=1.0), np.random.default_rng(1)
    x, noise = torch.from_numpy(draw.uniform(-2, 2, (60, 2))), torch.from_numpy(draw.normal(size=(60, 1)))
    with torch.no_grad():
        y = module(x) + 0.1 * noise
        for parameter in module.parameters():
            parameter += 0.3 * torch.from_numpy(draw.normal(size=parameter.shape))
    return module, x, y


def misra() -> tuple[nn.Module, Tensor, Tensor]:
    x, y = (torch.tensor(values, dtype=torch.float64).unsqueeze(1) for values in (MISRA_X, MISRA_Y))
    return Misra(), x, y


def steps(
    optimizer: torch.optim.Optimizer, objective: Any, x: Tensor, y: Tensor, epochs: int, goal: float = 0
) -> list[float]:
    """Losses before each step, until there is nothing left to do or the goal is reached."""
    losses = []
    for _ in range(epochs):
        batch = Batch(objective, x, y, Regularisation(), whole=True)
        optimizer.step(batch)  # type: ignore[arg-type]
        losses.append(float(batch.measures["loss"]) / len(x))
        if getattr(optimizer, "stopped", None) or losses[-1] <= goal:
            break
    return losses


@pytest.mark.parametrize("problem", [sine, noisy, misra], ids=lambda problem: problem.__name__)
def test_it_ends_where_minpack_does_and_never_goes_up(problem: Any) -> None:
    module, x, y = problem()
    start = nn.utils.parameters_to_vector(module.parameters()).detach().numpy().copy()

    def residuals(flat: np.ndarray) -> np.ndarray:
        nn.utils.vector_to_parameters(torch.from_numpy(flat), module.parameters())
        with torch.no_grad():
            return (module(x) - y).flatten().numpy()

    theirs = least_squares(residuals, start, method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=100_000)
    nn.utils.vector_to_parameters(torch.from_numpy(start), module.parameters())
    losses = steps(DampedLeastSquares(module.parameters(), min_grad=1e-9), Regression(module), x, y, 150)
    assert losses[-1] * len(x) == pytest.approx(2 * theirs.cost, rel=1e-9)
    assert all(later <= earlier for earlier, later in pairwise(losses))


def test_it_ends_at_nists_certified_sum_of_squares() -> None:
    module, x, y = misra()
    optimizer = DampedLeastSquares(module.parameters(), min_grad=0)
    losses = steps(optimizer, Regression(module), x, y, 200)
    assert losses[-1] * len(x) == pytest.approx(MISRA_SUM, rel=1e-9)
    assert optimizer.stopped == "mu_max"


def test_it_fits_what_can_be_fitted_in_a_hundredth_of_the_epochs_of_adam() -> None:
    goal, target = 1e-10, tanh_network(1, 2, seed=2)
    x = torch.linspace(-2, 2, 50, dtype=torch.float64).unsqueeze(1)
    y = target(x).detach()
    ours, adams = tanh_network(1, 8, seed=6), tanh_network(1, 8, seed=6)
    losses = steps(DampedLeastSquares(ours.parameters(), min_grad=0), Regression(ours), x, y, 100, goal)
    assert losses[-1] <= goal
    adam = Adam(learning_rate=0.01).build(adams.parameters())
    assert steps(adam, Regression(adams), x, y, 100 * len(losses), goal)[-1] > goal


IMAGES = [
    {"kind": "conv2d", "filters": 3, "kernel": 3, "activation": "tanh"},
    {"kind": "max_pool2d", "size": 2},
    "flatten",
    {"kind": "dense", "units": 3, "activation": "softmax"},
]


def images(network: Any) -> tuple[Classification, DampedLeastSquares, Tensor, Tensor]:
    made = network(IMAGES, (2, 6, 6)).double()
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(11, 2, 6, 6, dtype=torch.float64, generator=draw), torch.arange(11) % 3
    return Classification(made, MeanSquaredError()), DampedLeastSquares(made.parameters()), x, y


def test_j_is_what_finite_differences_say(network: Any) -> None:
    objective, optimizer, x, y = images(network)
    residuals = optimizer._residuals(Batch(objective, x, y, Regularisation(), whole=True))
    weights, h = optimizer.weights(), 1e-6
    columns = [
        (residuals(weights + h * unit, x, y) - residuals(weights - h * unit, x, y)).flatten() / (2 * h)
        for unit in torch.eye(len(weights), dtype=torch.float64)
    ]
    jacobian = torch.stack(columns, 1).detach()
    found = normal_equations(residuals, weights, x, y, outputs=3)
    torch.testing.assert_close(found.gram, jacobian.T @ jacobian, rtol=1e-6, atol=1e-8)
    errors = residuals(weights, x, y).detach().flatten()
    torch.testing.assert_close(found.slope, jacobian.T @ errors, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rows", [1, 4, 10])
def test_slices_of_any_size_give_the_same_sums(network: Any, rows: int) -> None:
    objective, optimizer, x, y = images(network)
    residuals = optimizer._residuals(Batch(objective, x, y, Regularisation(), whole=True))
    whole, sliced = (normal_equations(residuals, optimizer.weights(), x, y, 3, rows=n) for n in (11, rows))
    torch.testing.assert_close(sliced.gram, whole.gram, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sliced.slope, whole.slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("units", [1, 3])
def test_the_mean_of_squared_residuals_is_the_loss(network: Any, blobs: Any, units: int) -> None:
    data = blobs(20, classes=2 if units == 1 else 3)
    made = network([{"kind": "dense", "units": units, "activation": "sigmoid"}], (2,))
    objective = Classification(made, MeanSquaredError())
    residuals = objective.residuals(dict(made.named_parameters()), data.x, data.y)
    assert residuals.shape == (20, units)
    assert residuals.square().mean().item() == pytest.approx(objective.measure(data.x, data.y)["loss"].item() / 20)


def test_another_loss_has_no_residuals(network: Any, blobs: Any) -> None:
    made, data = network([{"kind": "dense", "units": 3, "activation": "softmax"}], (2,)), blobs(5)
    with pytest.raises(TypeError, match="cross_entropy has no residuals"):
        Classification(made, CrossEntropy()).residuals(dict(made.named_parameters()), data.x, data.y)


def test_the_weights_of_a_float32_network_are_its_float64_ones_rounded(network: Any, blobs: Any) -> None:
    data = blobs(30, classes=2)
    layers = [{"kind": "dense", "units": n, "activation": "sigmoid"} for n in (3, 1)]
    exact, rounded = network(layers, (2,)).double(), network(layers, (2,))
    for made, x in ((exact, data.x.double()), (rounded, data.x)):
        objective = Classification(made, MeanSquaredError())
        steps(DampedLeastSquares(made.parameters()), objective, x, data.y, 5)
    for ours, theirs in zip(rounded.parameters(), exact.parameters(), strict=True):
        assert torch.equal(ours, theirs.float())


def test_more_parameters_than_the_machine_has_memory_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementation, "memory_of", lambda device: 10**8)
    DampedLeastSquares([nn.Parameter(torch.zeros(1000))])
    with pytest.raises(StageError) as caught:
        DampedLeastSquares([nn.Parameter(torch.zeros(2000))])
    assert (caught.value.expected, caught.value.found) == (
        "at most 100,000,000 bytes",
        f"{3 * 8 * 2000**2 + 2**26:,} bytes, for 3 matrices of 2,000 x 2,000 numbers",
    )
    assert "2,000 parameters" in str(caught.value)
    assert "lbfgs" in str(caught.value)


def test_this_machines_memory_is_known() -> None:
    assert 2**28 < implementation.memory_of(torch.device("cpu")) < 2**50


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"loss": "cross_entropy"}, "loss"),
        ({"batch_size": 16}, "batch_size"),
        ({"l1": 0.1}, "l1"),
        ({"l2": 0.1}, "l2"),
        ({"max_norm": 1.0}, "max_norm"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"augmentation": ["flip"]}, "augmentation"),
        ({"precision": "bfloat16"}, "precision"),
        ({"schedule": "cosine"}, "schedule"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_changes_the_sum_of_squares_is_refused(options: dict[str, Any], path: str) -> None:
    plain = {"optimizer": "levenberg_marquardt", "loss": "mean_squared_error", "batch_size": "full"}
    Train.model_validate(plain)
    with pytest.raises(ValidationError) as caught:
        Train.model_validate({**plain, **options})
    assert caught.value.errors()[0]["ctx"]["path"] == [path]


def spec(layers: list[Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "squares",
        "data": {"source": {"kind": "two_classes", "samples": 60}},
        "model": {"layers": [*layers, {"kind": "dense", "units": 1, "activation": "sigmoid"}]},
        "train": {"loss": "mean_squared_error", "optimizer": "levenberg_marquardt", "batch_size": "full"},
    }


@pytest.mark.parametrize(
    ("layer", "path", "found"),
    [
        ({"kind": "dropout", "rate": 0.5}, ["model", "layers", 0], "a dropout layer"),
        ({"kind": "dense", "units": 20_000}, ["train", "optimizer"], "80,001"),
    ],
    ids=["dropout", "too large"],
)
def test_a_network_that_is_not_for_it_is_refused_when_the_spec_is_read(layer: Any, path: list[Any], found: str) -> None:
    Spec.model_validate(spec([{"kind": "dense", "units": 20}]))
    with pytest.raises(ValidationError) as caught:
        Spec.model_validate(spec([layer]))
    context = caught.value.errors()[0]["ctx"]
    assert (context["path"], context["found"]) == (path, found)


@pytest.mark.parametrize("whole", [False, True], ids=["a part of the examples", "dropout"])
def test_a_batch_that_the_next_is_not_like_is_refused(network: Any, blobs: Any, whole: bool) -> None:
    data = blobs(10)
    layers = [{"kind": "dropout", "rate": 0.5}] if whole else []
    made = network([*layers, {"kind": "dense", "units": 3, "activation": "softmax"}], (2,))
    objective = Classification(made, MeanSquaredError())
    batch = Batch(objective, data.x, data.y, Regularisation(), whole=whole)
    with pytest.raises(StageError, match="same sum of squares"):
        DampedLeastSquares(made.parameters()).step(batch)
