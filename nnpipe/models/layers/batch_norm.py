"""Batch normalisation: each feature or channel to mean 0 and variance 1 (Ioffe & Szegedy 2015, algorithms 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.models.layers.layer import Layer, Shape

if TYPE_CHECKING:
    from torch import Generator, nn


class BatchNorm(Layer):
    """(x - mean) / sqrt(variance + epsilon), then weight and bias, of each feature of vectors or channel of images.

    In training, mean and variance are the batch's; after it, running means of them, which are kept with the weights.
    ``momentum`` and ``epsilon`` mean what they do in Keras, with its defaults: a running value becomes momentum times
    itself and 1 - momentum times the batch's (PyTorch calls 1 - momentum so). The running variance is that of the
    unbiased estimate, as in the paper and in PyTorch; Keras leaves the bias of 1 / batch in.
    """

    kind: Literal["batch_norm"] = "batch_norm"
    momentum: float = Field(0.99, ge=0, lt=1, description="How much running statistics keep of themselves at a step.")
    epsilon: float = Field(0.001, gt=0, description="Added to the variance.")

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 2 * shape[0]

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from nnpipe.models.batch_normalisation import BatchNormalisation

        return BatchNormalisation(shape[0], self.momentum, self.epsilon)
