"""Optimizers: their options, their first steps by hand, conjugate gradient against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize, rosen, rosen_der

from nnpipe.spec import members
from nnpipe.training.batch import Batch
from nnpipe.training.classification import Classification
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.mean_squared_error import MeanSquaredError
from nnpipe.training.optimizers import AnyOptimizer
from nnpipe.training.optimizers.adam import Adam
from nnpipe.training.optimizers.adamw import AdamW
from nnpipe.training.optimizers.nonlinear_cg import NonlinearCG
from nnpipe.training.optimizers.optimizer import Optimizer
from nnpipe.training.optimizers.rmsprop import RmsProp
from nnpipe.training.optimizers.sgd import Sgd
from nnpipe.training.regularisation import Regularisation
from nnpipe.training.train import Train

KINDS = [member.model_fields["kind"].default for member in tuple(members(AnyOptimizer))]


class Quadratic:
    """x' A x / 2 - b' x with positive definite A, a parameter x that starts at 0, and how often it was asked."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(0)
        root = rng.normal(size=(n, n))
        self.a, self.b = root @ root.T / n + 0.1 * np.eye(n), rng.normal(size=n)
        self.x = torch.nn.Parameter(torch.zeros(n, dtype=torch.float64))
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        x = self.x.detach().numpy()
        self.x.grad = torch.from_numpy(self.a @ x - self.b)
        return float(0.5 * x @ self.a @ x - self.b @ x)

    @property
    def error(self) -> float:
        solution = np.linalg.solve(self.a, self.b)
        return float(np.linalg.norm(self.x.detach().numpy() - solution) / np.linalg.norm(solution))


@pytest.mark.parametrize("kind", KINDS)
def test_every_optimizer_has_defaults_and_makes_a_loss_smaller(kind: str, network: Any, blobs: Any) -> None:
    optimizer, data = TypeAdapter(AnyOptimizer).validate_python({"kind": kind}), blobs(30)
    made = network([{"kind": "dense", "units": 3, "activation": name} for name in ("tanh", "tanh", "softmax")], (2,))
    objective = Classification(made, MeanSquaredError())
    built, losses = optimizer.build(made.parameters()), []
    for _ in range(4):
        batch = Batch(objective, data.x, data.y, Regularisation(), whole=True)
        built.step(batch)  # type: ignore[arg-type]
        losses.append(float(batch.measures["loss"]))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_is_the_same_after_json(kind: str) -> None:
    adapter = TypeAdapter(AnyOptimizer)
    optimizer = adapter.validate_python({"kind": kind})
    assert adapter.validate_json(adapter.dump_json(optimizer)) == optimizer


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "sgd", "learning_rate": 0},
        {"kind": "sgd", "momentum": 1},
        {"kind": "sgd", "nesterov": True},
        {"kind": "adam", "learning_rate": -1},
        {"kind": "adam", "betas": [0.9, 1.0]},
        {"kind": "rmsprop", "decay": 1},
        {"kind": "conjugate_gradient", "line_searches": 0},
        {"kind": "conjugate_gradient", "learning_rate": 0.1},
        {"kind": "adamw", "weight_decay": -1},
        {"kind": "muon", "adamw": {"kind": "adam"}},
        {"kind": "lbfgs", "history": 0},
        {"kind": "lbfgs", "learning_rate": 1},
        {"kind": "scaled_conjugate_gradient", "damping": 0},
        {"kind": "levenberg_marquardt", "mu_dec": 1},
        {"kind": "levenberg_marquardt", "mu_inc": 1},
        {"kind": "sdg"},
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Train.model_validate({"optimizer": options})


@pytest.mark.parametrize("batch_size", [0, "all", 2.5])
def test_a_batch_size_that_makes_no_sense_is_refused(batch_size: object) -> None:
    with pytest.raises(ValidationError):
        Train.model_validate({"batch_size": batch_size})


def steps(optimizer: Optimizer, gradients: list[float]) -> list[float]:
    x, found = torch.nn.Parameter(torch.zeros(1)), []
    built = optimizer.build([x])
    for gradient in gradients:
        x.grad = torch.tensor([float(gradient)])
        built.step(lambda: 0.0)
        found.append(x.item())
    return found


def test_sgd_steps_as_its_formula_says() -> None:
    assert steps(Sgd(learning_rate=0.5, momentum=0.9), [1, 2]) == pytest.approx([-0.5, -0.5 - 0.5 * 2.9])
    nesterov = Sgd(learning_rate=0.5, momentum=0.9, nesterov=True)
    assert steps(nesterov, [1]) == pytest.approx([-0.5 * 1.9])


def test_adam_steps_as_its_paper_says() -> None:
    m, v, x, expected = 0.0, 0.0, 0.0, []
    for t, gradient in enumerate([3.0, -1.0], start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        x -= 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.99**t)) ** 0.5 + 1e-3)
        expected.append(x)
    assert steps(Adam(learning_rate=0.1, betas=(0.9, 0.99), epsilon=1e-3), [3, -1]) == pytest.approx(expected)


TORCHS = [
    (Sgd(learning_rate=0.1, momentum=0.9, nesterov=True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam(learning_rate=0.1), torch.optim.Adam, {"eps": 1e-7}),
    (AdamW(learning_rate=0.1, weight_decay=0.2), torch.optim.AdamW, {"weight_decay": 0.2}),
    (RmsProp(learning_rate=0.1, momentum=0.5), torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.5, "eps": 1e-7}),
]


@pytest.mark.parametrize(("optimizer", "theirs", "options"), TORCHS, ids=lambda value: getattr(value, "kind", ""))
def test_steps_are_those_of_torchs_plain_loops(optimizer: Optimizer, theirs: Any, options: dict[str, Any]) -> None:
    draw = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(3, 2, generator=draw), torch.randn(5, 3, 2, generator=draw)
    x, y = (torch.nn.Parameter(start.clone()) for _ in range(2))
    for parameter, built in ((x, optimizer.build([x])), (y, theirs([y], lr=0.1, foreach=False, **options))):
        for gradient in gradients:
            parameter.grad = gradient.clone()
            built.step(lambda: 0.0)
    torch.testing.assert_close(x, y)


def test_rmsprop_steps_as_its_formula_says() -> None:
    first = -0.1 * 3 / (0.1 * 9) ** 0.5
    second = first + 0.1 * 1 / (0.9 * 0.9 + 0.1) ** 0.5
    assert steps(RmsProp(learning_rate=0.1), [3, -1]) == pytest.approx([first, second], rel=1e-5)


@pytest.mark.parametrize("n", [2, 5, 10])
def test_conjugate_gradient_solves_a_quadratic_in_as_many_exact_searches_as_dimensions(n: int) -> None:
    problem = Quadratic(n)
    NonlinearCG([problem.x], line_searches=n, curvature=1e-9).step(problem)
    assert problem.error < 1e-7


def test_one_search_fewer_does_not_solve_it() -> None:
    problem = Quadratic(5)
    NonlinearCG([problem.x], line_searches=4, curvature=1e-9).step(problem)
    assert problem.error > 1e-3


def test_inexact_searches_solve_a_quadratic_too_and_ask_little() -> None:
    problem = Quadratic(30)
    NonlinearCG([problem.x], line_searches=60).step(problem)
    assert problem.error < 1e-6
    assert problem.asked < 180


def test_conjugate_gradient_finds_the_end_of_rosenbrocks_valley_as_scipy_does() -> None:
    start, asked = np.array([-1.2, 1.0, -0.5, 2.0]), []
    x = torch.nn.Parameter(torch.tensor(start))

    def closure() -> float:
        asked.append(1)
        x.grad = torch.from_numpy(rosen_der(x.detach().numpy()))
        return float(rosen(x.detach().numpy()))

    theirs = minimize(rosen, start, jac=rosen_der, method="CG")
    NonlinearCG([x], line_searches=theirs.nit).step(closure)
    np.testing.assert_allclose(x.detach().numpy(), theirs.x, atol=1e-3)
    assert len(asked) < 2 * theirs.nfev


def test_conjugate_gradient_trains_a_network_to_the_minimum_that_scipy_finds(network: Any, blobs: Any) -> None:
    data = blobs(60, spread=1.5)  # clouds that overlap: the minimum is not at infinity
    x, y = data.x.double(), data.y
    layers = [{"kind": "dense", "units": 3, "activation": "softmax"}]
    ours, theirs = network(layers, (2,)).double(), network(layers, (2,)).double()

    def value(made: Any, flat: np.ndarray) -> tuple[float, np.ndarray]:
        torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), made.parameters())
        loss = Classification(made, CrossEntropy()).gradient(x, y)["loss"] / len(x)
        return loss.item(), torch.cat([p.grad.reshape(-1) for p in made.parameters()]).numpy()

    start = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy().copy()
    best = minimize(lambda flat: value(theirs, flat), start, jac=True, method="CG", options={"gtol": 1e-8})
    objective = Classification(ours, CrossEntropy())
    optimizer = NonlinearCG(ours.parameters(), line_searches=100)
    optimizer.step(lambda: objective.gradient(x, y)["loss"] / len(x))
    assert objective.measure(x, y)["loss"].item() / len(x) == pytest.approx(best.fun, rel=1e-9)


def test_a_search_never_goes_uphill() -> None:
    x = torch.nn.Parameter(torch.tensor([3.0]))
    values = []

    def closure() -> float:  # steep, flat, then a cliff of NaN
        value = x.detach().item()
        x.grad = torch.tensor([float("nan") if value < 0 else 2 * (value - 1)])
        values.append(float("nan") if value < 0 else (value - 1) ** 2)
        return values[-1]

    NonlinearCG([x], line_searches=5).step(closure)
    assert x.item() == pytest.approx(1, abs=1e-3)


def test_at_a_minimum_conjugate_gradient_stays() -> None:
    problem = Quadratic(3)
    problem.b[:] = 0
    NonlinearCG([problem.x], line_searches=5).step(problem)
    assert problem.asked == 1
    assert not problem.x.detach().numpy().any()
