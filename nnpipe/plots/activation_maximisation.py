"""Inputs that units answer to as much as they can: gradient ascent from near the mean of the data.

Erhan, Bengio, Courville & Vincent 2009, section 3.1: the input's length is bounded, here its distance from the mean of
the data, as unlike pixels have unlike means. It takes the place of the penalty on that distance of Simonyan, Vedaldi &
Zisserman 2014, section 2, and needs no weight. After each step the change is blurred, so that edges have to be worth
something (Yosinski et al. 2015, section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import torch
from torch import Tensor
from torch.nn import functional as F

FIRST, LAST = 0.2, 0.01  # the length of steps at the beginning and at the end, by the radius
NOISE = 0.1  # the length of the first step, which is random, by the radius


@dataclass(frozen=True)
class Room:
    """Where inputs, (*input_shape), may lie: from ``low`` to ``high``, at most ``radius`` away from ``centre``."""

    centre: Tensor
    low: Tensor
    high: Tensor
    radius: float

    @classmethod
    def of(cls, x: Tensor, low: Tensor, high: Tensor) -> Room:
        """Around examples x, (examples, *input_shape): no farther from their mean than they are on the average."""
        centre = x.mean(0)
        return cls(centre, low, high, float((x - centre).flatten(1).norm(dim=1).mean()) or 1.0)

    def nearest(self, x: Tensor) -> Tensor:
        """Inputs (units, *input_shape) brought back into the range, then along straight lines into the ball."""
        away = x.clamp(self.low, self.high) - self.centre
        too_far = away.flatten(1).norm(dim=1).clamp_min(self.radius) / self.radius
        return self.centre + away / _broad(too_far, x)


def maximised(
    answers: Callable[[Tensor], Tensor], room: Room, units: int, steps: int, blur: float, generator: torch.Generator
) -> Tensor:
    """The inputs, (units, *input_shape), found in ``steps`` steps.

    answers: of (units, *input_shape), what unit i says of input i, before its nonlinearity: (units,).
    blur: standard deviation of the Gaussian in pixels; 0: none.
    """
    x = room.centre.expand(units, *room.centre.shape)
    x = room.nearest(x + _direction(torch.randn(x.shape, generator=generator)) * NOISE * room.radius)
    kernel = _gaussian(blur) if blur else None
    for step in range(steps):
        length = LAST + (FIRST - LAST) * (1 + cos(pi * step / steps)) / 2
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(answers(x).sum(), x)
        with torch.no_grad():
            # Steps out of the range lead nowhere: their length goes to the other pixels.
            outwards = ((x <= room.low) & (gradient < 0)) | ((x >= room.high) & (gradient > 0))
            x = x + length * room.radius * _direction(gradient.masked_fill(outwards, 0))
            x = room.nearest(x if kernel is None else room.centre + _blurred(x - room.centre, kernel))
    return x.detach()


def _direction(x: Tensor) -> Tensor:
    return x / _broad(x.flatten(1).norm(dim=1).clamp_min(1e-12), x)


def _broad(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _gaussian(deviation: float) -> Tensor:
    """The weights of a window of one dimension: (size,), of sum 1."""
    reach = max(1, round(3 * deviation))
    weights = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * deviation**2))
    return weights / weights.sum()


def _blurred(images: Tensor, kernel: Tensor) -> Tensor:
    """Images (n, channels, height, width), at whose edges the last pixels go on."""
    channels, reach = images.shape[1], len(kernel) // 2
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    each = kernel.repeat(channels, 1, 1, 1)
    along = F.conv2d(padded, each, groups=channels)
    return F.conv2d(along, each.transpose(2, 3), groups=channels)
