"""Levenberg-Marquardt (Hagan & Menhaj 1994, section III), in float64 whatever the module's numbers are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.errors import StageError
from nnpipe.training.batch import Batch
from nnpipe.training.optimizers.flat import FlatOptimizer
from nnpipe.training.optimizers.normal_equations import SLICE, Residuals, normal_equations, sum_of_squares

MATRICES = 3  # as large as J'J that are there at once: itself, with mu on its diagonal, and that one's Cholesky factor
LEAST_MU = 1e-20  # it is made ten times smaller after each good step


class DampedLeastSquares(FlatOptimizer):
    """Each ``step`` solves (J'J + mu I) d = J'e for the step -d, with a larger mu until the error falls.

    J is the derivative of all residuals e. mu is ``decrease`` times itself after a step that was taken, ``increase``
    times itself after each that was not. In memory are mu and the weights in float64; the module's are these, rounded.

    most: the mu at which there is nothing left to do. min_grad: the length of the objective's gradient at which.

    Raises:
        StageError: the machine has not the memory for so many parameters.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        mu: float = 0.001,
        decrease: float = 0.1,
        increase: float = 10.0,
        most: float = 1e10,
        min_grad: float = 1e-7,
    ) -> None:
        options = {"mu": mu, "decrease": decrease, "increase": increase, "most": most, "min_grad": min_grad}
        super().__init__(parameters, options)
        check_memory(sum(p.numel() for p in self._parameters), self._parameters[0].device)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make the objective of the ``Batch`` that the closure is smaller; never a step up.

        Returns the value before the step.

        Raises:
            StageError: the batch is not all examples, or something is drawn.
        """
        if not isinstance(closure, Batch) or not hasattr(closure.objective, "residuals"):
            raise TypeError("levenberg_marquardt needs a batch whose objective has residuals")
        if not closure.steady:
            raise StageError(
                "levenberg_marquardt needs the same sum of squares at each step",
                where="train",
                expected="batch_size: full, and no dropout or augmentation",
                found="a batch that the next will not be like",
            )
        value = closure()  # measures, before the step
        group, memory, x, y = self.param_groups[0], self.memory, closure.x, closure.y
        residuals, weights = self._residuals(closure), self._exact_weights()
        error, outputs = sum_of_squares(residuals, weights, x, y)
        equations = normal_equations(residuals, weights, x, y, outputs)
        memory.setdefault("mu", group["mu"])
        self.stopped = None
        if 2 * float(equations.slope.norm()) / (len(x) * outputs) <= group["min_grad"]:
            self.stopped = "min_grad"
            return value
        while memory["mu"] <= group["most"]:
            step = solve(equations.gram, memory["mu"], equations.slope)
            if step is not None and sum_of_squares(residuals, weights - step, x, y)[0] < error:
                memory["weights"] = weights - step
                memory["mu"] = max(memory["mu"] * group["decrease"], LEAST_MU)
                self.assign(memory["weights"])
                return value
            memory["mu"] *= group["increase"]
        self.stopped = "mu_max"
        return value

    def _exact_weights(self) -> Tensor:
        """The weights in float64: those in memory, if the module's are still these, rounded."""
        here, exact = self.weights(), self.memory.get("weights")
        if exact is None or not torch.equal(exact.to(here.dtype), here):
            exact = self.memory["weights"] = here.double()
        return exact

    def _residuals(self, batch: Batch) -> Residuals:
        """The residuals of the batch's objective as a function of all weights that are learned as one vector."""
        objective: Any = batch.objective
        names = {id(p): name for name, p in objective.module.named_parameters()}
        frozen = {names[id(p)]: p.detach().double() for p in self._all if not p.requires_grad}

        def residuals(weights: Tensor, x: Tensor, y: Tensor | None) -> Tensor:
            parts = zip(self._parameters, self.split(weights), strict=True)
            learned = {names[id(p)]: part for p, part in parts}
            found: Tensor = objective.residuals({**frozen, **learned}, x, y)
            return found

        return residuals


def solve(gram: Tensor, mu: float, slope: Tensor) -> Tensor | None:
    """d of (gram + mu I) d = slope; None where that is not positive definite to rounding."""
    damped = gram.clone()
    damped.diagonal().add_(mu)
    factor, info = torch.linalg.cholesky_ex(damped)
    return None if int(info) else torch.cholesky_solve(slope.unsqueeze(1), factor).squeeze(1)


def check_memory(parameters: int, device: torch.device) -> None:
    """Refuse more parameters than there is memory for.

    Raises:
        StageError: with both in bytes, and what to use instead.
    """
    needed, there = MATRICES * 8 * parameters**2 + SLICE, memory_of(device)
    if needed > there:
        raise StageError(
            f"levenberg_marquardt of {parameters:,} parameters needs more memory than there is",
            where="train.optimizer",
            expected=f"at most {there:,} bytes",
            found=f"{needed:,} bytes, for {MATRICES} matrices of {parameters:,} x {parameters:,} numbers",
            hint="scaled_conjugate_gradient, conjugate_gradient and lbfgs take a few times the weights' memory",
        )


def memory_of(device: torch.device) -> int:
    """All of the device's memory, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
