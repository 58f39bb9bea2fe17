"""torch's Muon and torch's AdamW as one optimizer with one state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class MuonAdamW(torch.optim.Optimizer):
    """Muon for ``hidden``, in its first parameter group; ``others`` for its own, in the second.

    hidden: weights, (units, ...); those with more than two axes are matrices to Muon, (units, everything else).
    """

    def __init__(
        self, hidden: Sequence[nn.Parameter], others: torch.optim.AdamW, rate: float, momentum: float, decay: float
    ) -> None:
        self._kernels = [(p, nn.Parameter(p.detach().flatten(1).clone())) for p in hidden if p.ndim > 2]
        matrices = [p for p in hidden if p.ndim == 2] + [matrix for _, matrix in self._kernels]
        muon = torch.optim.Muon(matrices, lr=rate, momentum=momentum, weight_decay=decay)
        super().__init__([*muon.param_groups, *others.param_groups], {})
        self._muon, self._others = muon, others

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both on the closure's gradient. Returns the closure's value."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for optimizer, group in zip((self._muon, self._others), self.param_groups, strict=True):
            optimizer.state, optimizer.param_groups = self.state, [group]
        with torch.no_grad():
            for kernel, matrix in self._kernels:
                matrix.copy_(kernel.flatten(1))  # whatever a limit has made of it since
                matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
            self._muon.step()  # type: ignore[no-untyped-call]
            self._others.step()
            for kernel, matrix in self._kernels:
                kernel.copy_(matrix.view_as(kernel))
        return value
