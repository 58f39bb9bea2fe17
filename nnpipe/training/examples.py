"""Examples in memory, raw as the data has them; scaled only when a batch is taken."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nnpipe.models.scaling import Numbers, Scaling

BLOCK = 1000  # examples that are scaled at a time
ROUNDING = 1e-6  # how far from [0, 1] scaling may round

Taken = tuple[Tensor, Tensor | None]


def are_probabilities(low: float, high: float) -> bool:
    """Whether values between these can be read as probabilities, but for rounding; NaN cannot."""
    return low >= -ROUNDING and high <= 1 + ROUNDING


class Examples:
    """``x``: (n, ...) of any numeric dtype, ``y``: (n,) labels, (n, targets) or None, both on the device that computes.

    Bytes stay bytes, a quarter of their size as numbers, until they are taken as x = (raw - offset) / scale. What is
    taken has memory of its own: kernels may add up in another order where a tensor begins elsewhere.

    row_bytes: of one example as it is kept, where ``x`` is not what is kept.
    """

    def __init__(
        self, x: Tensor, y: Tensor | None = None, scaling: Scaling | None = None, row_bytes: int | None = None
    ) -> None:
        self.x = x
        self._describe(tuple(x.shape[1:]), y, scaling or Scaling(), x.device)
        self.row_bytes = x[:1].numel() * x.element_size() if row_bytes is None else row_bytes

    def _describe(self, shape: tuple[int, ...], y: Tensor | None, scaling: Scaling, device: torch.device) -> None:
        self.shape, self.y, self.device = shape, y, device
        self._offset, self._scale = self._numbers(scaling.offset, 0.0), self._numbers(scaling.scale, 1.0)

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, order: Tensor, size: int) -> Iterator[Taken]:
        """The examples of these numbers, (n,) int64, in this order, ``size`` at a time: scaled float32 x, and y."""
        for indices in order.to(self.device).split(size):  # type: ignore[no-untyped-call]
            y = None if self.y is None else self.y.index_select(0, indices)
            yield self._scaled(self.x.index_select(0, indices)), y

    def in_order(self, size: int) -> Iterator[Taken]:
        """All examples as they stand, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(start, start + size)

    def rows(self, start: int, stop: int) -> Taken:
        """The examples from ``start`` up to ``stop``, in order: scaled float32 x, and y."""
        return self._scaled(self.x[start:stop].clone()), None if self.y is None else self.y[start:stop].clone()

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest scaled value; both NaN if any is."""
        found = torch.stack([torch.stack(x.aminmax()) for x, _ in self.in_order(BLOCK)])
        return float(found[:, 0].amin()), float(found[:, 1].amax())

    def _scaled(self, raw: Tensor) -> Tensor:
        x = raw.to(torch.float32)
        if self._offset is not None:
            x = x - self._offset
        return x if self._scale is None else x / self._scale

    def _numbers(self, values: Numbers, neutral: float) -> Tensor | None:
        return None if values == neutral else torch.tensor(values, dtype=torch.float32, device=self.device)
