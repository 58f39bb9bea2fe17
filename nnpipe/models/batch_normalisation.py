"""Batch normalisation of vectors and images by one module, which also knows what to do with a batch of one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNormalisation(nn.Module):
    """x: (batch, channels) or (batch, channels, height, width). weight, bias, running_mean, running_var: (channels,).

    momentum: what running statistics keep of themselves. In training, a batch with a single value a channel has no
    variance; it is normalised by the running statistics, which it leaves as they are.
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
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training and x.numel() > x.shape[1],
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, momentum={self.momentum}, epsilon={self.epsilon}"
