"""What keeps weights small: penalties in the objective, and limits that are enforced after it.

Weights are the parameters with two axes or more; biases and the scales of batch normalisation are left alone, and
what is frozen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Regularisation:
    """l1, l2: what the sums of magnitudes and of squares of all weights count in the objective.

    max_norm: the largest length of one unit's incoming weights (Srivastava et al. 2014, section 5.1).
    clip_norm: the largest length of the whole gradient of a batch (Pascanu et al. 2013, algorithm 1).
    None or 0: not so.
    """

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    clip_norm: float | None = None

    def penalise(self, module: nn.Module) -> Tensor | None:
        """Add the penalties' gradient to that of the weights; their value, 0-d, or None if there are none."""
        if not (self.l1 or self.l2):
            return None
        value: Tensor | None = None
        with torch.no_grad():
            for weight in weights_of(module):
                assert weight.grad is not None
                part = self.l1 * weight.abs().sum() + self.l2 * weight.square().sum()
                value = part if value is None else value + part
                weight.grad.add_(weight.sign(), alpha=self.l1).add_(weight, alpha=2 * self.l2)
        return value

    def clip(self, module: nn.Module) -> None:
        """Shorten the gradient where it is longer than ``clip_norm``."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), self.clip_norm)

    def limit(self, module: nn.Module) -> None:
        """Shorten the incoming weights of every unit where they are longer than ``max_norm``."""
        if self.max_norm is not None:
            with torch.no_grad():
                for weight in weights_of(module):
                    weight.copy_(torch.renorm(weight, 2, 0, self.max_norm))


def weights_of(module: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that are weights, (units, inputs, ...), and learned."""
    return (parameter for parameter in module.parameters() if parameter.ndim > 1 and parameter.requires_grad)
