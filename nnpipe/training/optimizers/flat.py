"""Optimizers to which all parameters that are learned are one vector, and the objective a function of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.training.optimizers.wolfe import Point


class FlatOptimizer(torch.optim.Optimizer):
    """What they have in common: the vector, the objective there, and a memory.

    memory: what is known from one step to the next, by name; all of it is in ``state_dict``, bit for bit.
    stopped: why there is nothing left to do, or None.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], options: dict[str, Any]) -> None:
        super().__init__(parameters, options)
        self._all: list[nn.Parameter] = [p for group in self.param_groups for p in group["params"]]
        self.stopped: str | None = None

    @property
    def memory(self) -> dict[str, Any]:
        memory: dict[str, Any] = self.state[self._all[0]]
        return memory

    def thawed(self) -> None:
        """Begin anew, as other parameters are learned from now on."""
        self.memory.clear()

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self._all if parameter.requires_grad]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(dict(state_dict))
        # torch has cast the tensors to the parameters' type, which may be narrower than theirs.
        device = self._all[0].device
        for name, value in state_dict["state"].get(0, {}).items():
            self.memory[name] = value.to(device, copy=True) if isinstance(value, Tensor) else value

    def weights(self) -> Tensor:
        """All parameters, (n,)."""
        return _flat(p.detach() for p in self._parameters)

    def evaluate(self, closure: Callable[[], Any], weights: Tensor) -> Point:
        """The objective at ``weights``, where the parameters are then."""
        self.assign(weights)
        with torch.enable_grad():
            value = closure()
        if value is None:
            raise TypeError(f"{type(self).__name__} needs an objective with a value")
        return Point(float(value), _flat(p.grad for p in self._parameters if p.grad is not None))

    @torch.no_grad()
    def assign(self, weights: Tensor) -> None:
        """Make ``weights``, (n,) of any floating type, the parameters."""
        for parameter, values in zip(self._parameters, self.split(weights), strict=True):
            parameter.copy_(values)

    def split(self, weights: Tensor) -> list[Tensor]:
        """``weights`` in the shapes of the parameters, in their order."""
        parts = weights.split([p.numel() for p in self._parameters])  # type: ignore[no-untyped-call]
        return [part.view(p.shape) for p, part in zip(self._parameters, parts, strict=True)]


def steady(closure: Callable[[], Any]) -> bool:
    """Whether the next step's closure is the same function; see ``Batch``. Plain functions are."""
    return bool(getattr(closure, "steady", True))


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
