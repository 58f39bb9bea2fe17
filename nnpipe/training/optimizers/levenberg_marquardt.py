"""Levenberg-Marquardt: between Gauss-Newton and steepest descent, for least squares (Hagan & Menhaj 1994)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape
from nnpipe.spec import problem
from nnpipe.training.losses.loss import SumOfSquares
from nnpipe.training.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nnpipe.training.train import Train

MOST_PARAMETERS = 50_000  # 60 GB; what a machine has is checked when it is known which one
UNSTEADY = ("dropout", "batch_norm")  # layers whose outputs are not a function of the weights and one example alone
# What of training changes the sum of squares, or the weights after a step that made it smaller: with what it has to be.
PLAIN = {
    "l1": 0,
    "l2": 0,
    "max_norm": None,
    "clip_norm": None,
    "augmentation": (),
    "precision": "float32",
}


class LevenbergMarquardt(Optimizer):
    """Solves (J'J + mu I) d = J'e at each epoch, J the derivative of all residuals e; for small networks.

    Takes 24 n^2 bytes for n parameters. Needs mean_squared_error and ``batch_size: full``. Names and defaults are those
    of MATLAB's trainlm, whose max_fail of 6 is ``train.early_stopping: {patience: 6}`` here, and goal ``train.goal``.
    """

    needs_value: ClassVar[bool] = True
    needs_residuals: ClassVar[bool] = True
    kind: Literal["levenberg_marquardt"] = "levenberg_marquardt"
    mu: float = Field(0.001, gt=0, description="The first damping: 0 would be Gauss-Newton.")
    mu_dec: float = Field(0.1, gt=0, lt=1, description="What mu is multiplied by after a step that was taken.")
    mu_inc: float = Field(10, gt=1, description="What mu is multiplied by after one that was not.")
    mu_max: float = Field(1e10, gt=0, description="End where mu would have to be larger.")
    min_grad: float = Field(1e-7, ge=0, description="End at a gradient of the loss no longer than this.")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """As every optimizer's.

        Raises:
            StageError: there is not the memory for so many parameters.
        """
        from nnpipe.training.optimizers.damped_least_squares import DampedLeastSquares

        return DampedLeastSquares(parameters, self.mu, self.mu_dec, self.mu_inc, self.mu_max, self.min_grad)

    def check(self, train: Train) -> None:
        if not isinstance(train.loss, SumOfSquares):
            raise problem(
                "levenberg_marquardt makes a sum of squares smaller, and nothing else",
                path=("loss",),
                expected="mean_squared_error",
                found=train.loss.kind,
                hint="scaled_conjugate_gradient takes any loss",
            )
        wanted: dict[str, Any] = {"batch_size": "full", **PLAIN}
        for name, value in wanted.items():
            if getattr(train, name) not in (value, "auto"):  # which a precision may be: it comes to float32 here
                raise problem(
                    "levenberg_marquardt makes a sum of squares over all examples smaller, and nothing else",
                    path=(name,),
                    expected=f"{name}: {'none' if value in (None, ()) else value}",
                    found=str(getattr(train, name)),
                    hint="scaled_conjugate_gradient takes any loss, and batches",
                )

    def check_model(self, model: Model, input_shape: Shape | None) -> None:
        for index, layer in model.at_any_depth():
            if layer.kind in UNSTEADY:
                raise problem(
                    "levenberg_marquardt needs outputs that depend on the weights and on one example alone",
                    path=("model", "layers", index),
                    expected=f"a network without {' and '.join(UNSTEADY)}",
                    found=f"a {layer.kind} layer",
                )
        parameters = 0 if input_shape is None else model.parameters(input_shape)
        if parameters and parameters > MOST_PARAMETERS:
            raise problem(
                f"levenberg_marquardt needs {24 * parameters**2 / 1e9:,.0f} GB for {parameters:,} parameters",
                path=("train", "optimizer"),
                expected=f"at most {MOST_PARAMETERS:,} parameters",
                found=f"{parameters:,}",
                hint="scaled_conjugate_gradient, conjugate_gradient and lbfgs take a few times the weights' memory",
            )
