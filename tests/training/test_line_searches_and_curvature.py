"""Conjugate gradients and L-BFGS, on all examples: SciPy's minima, as many steps as dimensions, reasons to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from nnpipe.training.batch import Batch
from nnpipe.training.classification import Classification
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.optimizers.damped_least_squares import DampedLeastSquares
from nnpipe.training.optimizers.nonlinear_cg import NonlinearCG
from nnpipe.training.optimizers.scaled_cg import ScaledCG
from nnpipe.training.optimizers.wolfe_lbfgs import WolfeLBFGS
from nnpipe.training.regularisation import Regularisation

LAYERS = [
    {"kind": "dense", "units": 3, "activation": "tanh"},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
DECAY = Regularisation(l2=0.01)  # so that the minimum is not at infinity


class Quadratic:
    """x' A x / 2 - b' x with random positive definite A, x from 0 on; the same function at each step, if ``steady``."""

    def __init__(self, n: int, *, steady: bool = True) -> None:
        rng = np.random.default_rng(n)
        root = rng.normal(size=(n, n))
        self.a, self.b = root @ root.T / n + 0.1 * np.eye(n), rng.normal(size=n)
        self.x = torch.nn.Parameter(torch.zeros(n, dtype=torch.float64))
        self.steady = steady

    def __call__(self) -> float:
        x = self.x.detach().numpy()
        self.x.grad = torch.from_numpy(self.a @ x - self.b)
        return float(0.5 * x @ self.a @ x - self.b @ x)

    @property
    def error(self) -> float:
        solution = np.linalg.solve(self.a, self.b)
        return float(np.linalg.norm(self.x.detach().numpy() - solution) / np.linalg.norm(solution))


def exact_cg(x: torch.nn.Parameter) -> torch.optim.Optimizer:
    return NonlinearCG([x], line_searches=1, curvature=1e-9)


def precise_scg(x: torch.nn.Parameter) -> torch.optim.Optimizer:
    return ScaledCG([x], damping=1e-12)


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("make", [exact_cg, precise_scg])
def test_a_quadratic_is_solved_in_as_many_steps_as_dimensions_and_in_no_fewer(make: Any, n: int) -> None:
    problem = Quadratic(n)
    optimizer = make(problem.x)
    for _ in range(n - 1):
        optimizer.step(problem)
    assert problem.error > 1e-3
    optimizer.step(problem)
    assert problem.error < 1e-6


@pytest.mark.parametrize("make", [exact_cg, precise_scg])
def test_on_batches_directions_start_anew_so_that_single_steps_are_of_steepest_descent(make: Any) -> None:
    conjugate, steepest = Quadratic(5), Quadratic(5, steady=False)
    for problem in (conjugate, steepest):
        optimizer = make(problem.x)
        for _ in range(5):
            optimizer.step(problem)
    assert conjugate.error < 1e-6
    assert steepest.error > 1e-2


def test_directions_start_anew_after_as_many_as_there_are_parameters() -> None:
    problem = Quadratic(4)
    conjugate, scaled = NonlinearCG([problem.x], 1), ScaledCG([problem.x])
    counts: list[tuple[int, int]] = []
    for _ in range(9):
        problem.x.data.normal_(generator=torch.Generator().manual_seed(len(counts)))
        conjugate.step(problem)
        scaled.step(problem)
        counts.append((conjugate.memory["directions"], scaled.memory["directions"]))
    assert max(count for pair in counts for count in pair) <= 4


class Fit:
    """A network in float64, three clouds that overlap, and how small SciPy makes the penalised loss."""

    def __init__(self, network: Any, blobs: Any) -> None:
        data = blobs(60, spread=1.0)
        self.x, self.y = data.x.double(), data.y
        self.module = network(LAYERS, (2,)).double()
        self.objective = Classification(self.module, CrossEntropy())

    def batch(self) -> Batch:
        return Batch(self.objective, self.x, self.y, DECAY, whole=True)

    def scipy(self, method: str) -> float:
        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            torch.nn.utils.vector_to_parameters(torch.from_numpy(flat), self.module.parameters())
            loss = float(self.batch()())  # type: ignore[arg-type]
            return loss, torch.cat([p.grad.reshape(-1) for p in self.module.parameters()]).numpy()

        start = torch.nn.utils.parameters_to_vector(self.module.parameters()).detach().numpy().copy()
        tight = {"ftol": 1e-15, "gtol": 1e-9} if method == "L-BFGS-B" else {"gtol": 1e-8}
        found = minimize(value, start, jac=True, method=method, options={"maxiter": 5000, **tight})
        torch.nn.utils.vector_to_parameters(torch.from_numpy(start), self.module.parameters())
        return float(found.fun)


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (lambda parameters: NonlinearCG(parameters, 3, min_grad=1e-7), "CG"),
        (lambda parameters: ScaledCG(parameters, min_grad=1e-7), "CG"),
        (lambda parameters: WolfeLBFGS(parameters, iterations=20, history=10, min_grad=1e-7), "L-BFGS-B"),
    ],
    ids=["conjugate gradient", "scaled conjugate gradient", "L-BFGS"],
)
def test_a_network_ends_at_scipys_minimum_and_says_so(network: Any, blobs: Any, make: Any, method: str) -> None:
    fit = Fit(network, blobs)
    best = fit.scipy(method)
    optimizer, values = make(fit.module.parameters()), []
    while optimizer.stopped is None and len(values) < 1000:
        values.append(float(optimizer.step(fit.batch())))
    assert optimizer.stopped == "min_grad"
    assert float(fit.batch()()) == pytest.approx(best, rel=1e-9)  # type: ignore[arg-type]


class Misled:
    """The bottom of a valley with a gradient that is wrong: wherever a step leads, it is higher there."""

    def __init__(self, *, steady: bool = True) -> None:
        self.bottom = torch.tensor([3.0, -2.0], dtype=torch.float64)
        self.x, self.steady = torch.nn.Parameter(self.bottom.clone()), steady

    def __call__(self) -> float:
        self.x.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
        return float((self.x.detach() - self.bottom).abs().sum())


@pytest.mark.parametrize("steady", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: NonlinearCG([x], 2),
        lambda x: ScaledCG([x], 200),
        lambda x: WolfeLBFGS([x], 5, 5, min_grad=0),
    ],
    ids=["conjugate gradient", "scaled conjugate gradient", "L-BFGS"],
)
def test_where_nothing_is_lower_they_stay_and_end_unless_the_next_batch_is_another(make: Any, steady: bool) -> None:
    problem = Misled(steady=steady)
    optimizer = make(problem.x)
    optimizer.step(problem)
    assert torch.equal(problem.x.detach(), problem.bottom)
    assert optimizer.stopped == ("no_descent" if steady else None)


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: NonlinearCG(parameters, 1),
        ScaledCG,
        lambda parameters: WolfeLBFGS(parameters, 1, 5, 1e-7),
        DampedLeastSquares,
    ],
)
def test_a_step_without_a_closure_or_a_value_is_refused(make: Any) -> None:
    x = torch.nn.Parameter(torch.zeros(1))
    x.grad = torch.ones(1)
    with pytest.raises(TypeError):
        make([x]).step(lambda: None)


def test_the_curvature_of_large_float32_weights_is_not_lost_in_rounding() -> None:
    x = torch.nn.Parameter(torch.tensor([300.0, -200.0]))
    optimizer = ScaledCG([x])  # whose sigma would leave such weights as they are

    def closure() -> float:
        distance, steep = x.detach() - torch.tensor([301.0, -202.0]), torch.tensor([1.0, 3.0])
        x.grad = 2 * distance * steep
        return float((distance.square() * steep).sum())

    for _ in range(10):
        optimizer.step(closure)
    assert closure() < 1e-6
