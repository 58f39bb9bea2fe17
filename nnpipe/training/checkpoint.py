"""Nested state as named arrays and a JSON document, and back, bit for bit; nothing is pickled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def flatten(state: Any) -> tuple[dict[str, np.ndarray], Any]:
    """Tensors of nested dicts, lists and tuples by their path (``optimizer/state/0/step``), and the rest as JSON."""
    tensors: dict[str, np.ndarray] = {}
    return tensors, _flatten(state, "", tensors)


def _flatten(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    match value:
        case Tensor():
            tensors[path] = value.detach().cpu().numpy().copy()
            # An array that was made contiguous on its way to a file has an axis at least.
            return {"tensor" if value.ndim else "scalar": path}
        case Mapping():  # as pairs, since keys may be numbers
            return {"dict": [[key, _flatten(item, _join(path, key), tensors)] for key, item in value.items()]}
        case list():
            return {"list": [_flatten(item, _join(path, i), tensors) for i, item in enumerate(value)]}
        case tuple():
            return {"tuple": [_flatten(item, _join(path, i), tensors) for i, item in enumerate(value)]}
        case float() if not math.isfinite(value):
            return {"float": repr(value)}
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"{path}: {type(value).__name__} has no place in a checkpoint")


def _join(path: str, key: object) -> str:
    return f"{path}/{key}" if path else str(key)


def unflatten(tensors: Mapping[str, np.ndarray], document: Any) -> Any:
    """The state that ``flatten`` took apart, its tensors on the CPU."""
    if not isinstance(document, Mapping):
        return document
    ((kind, content),) = document.items()
    match kind:
        case "tensor":
            return torch.tensor(tensors[content])
        case "scalar":
            return torch.tensor(tensors[content]).reshape(())
        case "dict":
            return {key: unflatten(tensors, item) for key, item in content}
        case "list":
            return [unflatten(tensors, item) for item in content]
        case "tuple":
            return tuple(unflatten(tensors, item) for item in content)
        case "float":
            return float(content)
    raise ValueError(f"a checkpoint has no {kind!r}")


def lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Bring an optimizer's restored state into the order that its parameters have in memory."""
    # Fused steps walk a parameter and its state in the order of memory, which for kernels is channels last.
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
