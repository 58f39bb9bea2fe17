"""Whether a loss can be made small by an autoencoder, whose answers are its inputs."""

from __future__ import annotations

from nnpipe.models.unrolling import Unroll
from nnpipe.training.losses.loss import Loss, LossError


def check_loss_of_inputs(unroll: Unroll, loss: Loss) -> None:
    """Refuse a loss that does not compare outputs with inputs, or not the outputs that there will be.

    Raises:
        LossError: it does not.
    """
    allowed = loss.activations_of_inputs()
    if not allowed:
        raise LossError(
            f"{loss.kind} is for classes, and an autoencoder's answers are its inputs",
            expected="binary_cross_entropy, mean_squared_error, mean_absolute_error or huber",
            found=loss.kind,
            hint="set train.loss to binary_cross_entropy for values from 0 to 1, else to mean_squared_error",
        )
    if unroll.output not in allowed:
        raise LossError(
            f"{loss.kind} needs outputs from 0 to 1",
            expected=f"{loss.kind} with model.unroll: {{output: {allowed[0]}}}",
            found=f"output {unroll.output}",
            hint="mean_squared_error compares outputs of any size",
        )
