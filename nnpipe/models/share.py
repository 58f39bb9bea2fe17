"""A batch that several processes compute together, each some of its rows: what layers have to know of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from nnpipe.errors import StageError


@dataclass(frozen=True)
class Share:
    """The rows from ``start`` up to ``stop``, maybe none, of a batch of ``total``."""

    start: int
    stop: int
    total: int

    @classmethod
    def of(cls, total: int, rank: int, processes: int) -> Share:
        """That of process ``rank``, from 0 on: all shares are of one size, or of two that differ by one row."""
        return cls(total * rank // processes, total * (rank + 1) // processes, total)

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)


_share: ContextVar[Share | None] = ContextVar("share", default=None)


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Within it, what this thread gives to layers is ``share`` of a batch."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def shared() -> bool:
    """Whether other processes compute other rows of the batch."""
    return _share.get() is not None


def whole_batch(x: Tensor) -> int:
    """The rows of the whole batch whose rows, or some of them, x is: (batch, ...)."""
    share = _share.get()
    return len(x) if share is None else share.total


def drawn_like(x: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
    """What ``draw`` fills a tensor like x with: our rows of what one process would draw for the whole batch."""
    share = _share.get()
    if share is None:
        return draw(torch.empty_like(x))
    # Laid out as x is, since generators fill tensors in the order of memory.
    strides = (math.prod(x.shape[1:]), *x.stride()[1:])
    return draw(x.new_empty_strided((share.total, *x.shape[1:]), strides))[share.rows]


def summed(x: Tensor) -> Tensor:
    """The sum of all processes' x, whose gradient is the sum of all processes' gradients."""
    found: Tensor = _Summed.apply(x)
    return found


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _all_reduced(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _all_reduced(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    all_reduce(total)
    return total


def all_reduce(x: Tensor, *, largest: bool = False) -> None:
    """Make x, in place, the sum of all processes' x, or the largest: the same bits everywhere.

    Raises:
        StageError: one of the others is gone.
    """
    with _lost_told():
        distributed.all_reduce(x, distributed.ReduceOp.MAX if largest else distributed.ReduceOp.SUM)


def broadcast(x: Tensor) -> None:
    """Make x, in place, the first process's x.

    Raises:
        StageError: one of the others is gone.
    """
    with _lost_told():
        distributed.broadcast(x, 0)


@contextmanager
def _lost_told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise StageError(
            "another process was lost",
            found=str(error).splitlines()[0],
            hint="run it again, or start it with torchrun --max-restarts: it goes on from the last checkpoint",
        ) from error
