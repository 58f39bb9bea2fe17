"""Examples in memory, raw as the data has them; scaled only when a batch is taken."""

from __future__ import annotations

import torch
from torch import Tensor

from nnpipe.models.scaling import Numbers, Scaling

BLOCK = 1000  # examples that are scaled at a time
ROUNDING = 1e-6  # how far from [0, 1] scaling may round


def are_probabilities(low: float, high: float) -> bool:
    """Whether values between these can be read as probabilities, but for rounding; NaN cannot."""
    return low >= -ROUNDING and high <= 1 + ROUNDING


class Examples:
    """``x``: (n, ...) of any numeric dtype, ``y``: (n,) labels, (n, targets) or None, both on the device that computes.

    Bytes stay bytes, a quarter of their size as numbers, until ``batch`` or ``rows`` makes x = (raw - offset) / scale.
    """

    def __init__(self, x: Tensor, y: Tensor | None = None, scaling: Scaling | None = None) -> None:
        scaling = scaling or Scaling()
        self.x, self.y = x, y
        self._offset, self._scale = self._numbers(scaling.offset, 0.0), self._numbers(scaling.scale, 1.0)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        return self.x.device

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The examples at ``indices``, (batch,) int64 on the same device: scaled float32 x, and y."""
        y = None if self.y is None else self.y.index_select(0, indices)
        return self._scaled(self.x.index_select(0, indices)), y

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """The examples from ``start`` up to ``stop``, in order: scaled float32 x, and y."""
        return self._scaled(self.x[start:stop]), None if self.y is None else self.y[start:stop]

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest scaled value; both NaN if any is."""
        starts = range(0, len(self), BLOCK)
        found = torch.stack([torch.stack(self.rows(start, start + BLOCK)[0].aminmax()) for start in starts])
        return float(found[:, 0].amin()), float(found[:, 1].amax())

    def _scaled(self, raw: Tensor) -> Tensor:
        x = raw.to(torch.float32)
        if self._offset is not None:
            x = x - self._offset
        return x if self._scale is None else x / self._scale

    def _numbers(self, values: Numbers, neutral: float) -> Tensor | None:
        return None if values == neutral else torch.tensor(values, dtype=torch.float32, device=self.x.device)
