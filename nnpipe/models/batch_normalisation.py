"""Batch normalisation of vectors and images by one module, which also knows what to do with a batch of one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnpipe.models.share import shared, summed, whole_batch


class BatchNormalisation(nn.Module):
    """x: (batch, channels) or (batch, channels, height, width). weight, bias, running_mean, running_var: (channels,).

    momentum: what running statistics keep of themselves. In training, a batch with a single value a channel has no
    variance; it is normalised by the running statistics, which it leaves as they are. Where several processes share a
    batch, its statistics are those of the whole.
    """

    def __init__(self, channels: int, momentum: float, epsilon: float) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        # Not asked where it does not matter: exporters follow x without knowing how many rows it has.
        training = self.training and _values(x) > 1
        if training and shared():
            return self._of_shared_batch(x, _values(x))
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=training,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )

    def _of_shared_batch(self, x: Tensor, values: int) -> Tensor:
        axes, channels = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        wide = x.float()
        mean = summed(wide.sum(axes)) / values
        centred = wide - mean.view(channels)
        variance = summed(centred.square().sum(axes)) / values
        with torch.no_grad():
            self.running_mean.lerp_(mean, 1 - self.momentum)
            self.running_var.lerp_(variance * values / (values - 1), 1 - self.momentum)
        scale = self.weight / (variance + self.epsilon).sqrt()
        return (centred * scale.view(channels) + self.bias.view(channels)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, momentum={self.momentum}, epsilon={self.epsilon}"


def _values(x: Tensor) -> int:
    """Of a channel, in the whole batch."""
    return whole_batch(x) * math.prod(x.shape[2:])
