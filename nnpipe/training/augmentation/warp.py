"""Moving the pixels of a batch: each example is read at places of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator, x: Tensor) -> Tensor:
    """Numbers between ``low`` and ``high``, drawn on the CPU whatever the device of ``x`` is, and brought there."""
    return (low + (high - low) * torch.rand(shape, generator=generator)).to(x.device)


def warp_affine(x: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Read x: (batch, channels, height, width) after turning, shearing and stretching it about its centre.

    matrix: (batch, 2, 2), where a pixel (right, down) from the centre goes. shift: (batch, 2), pixels right and down,
    after that. Bilinear; 0 outside.
    """
    height, width = x.shape[-2:]
    inverse = torch.linalg.inv(matrix)
    offset = -(inverse @ shift.unsqueeze(2)).squeeze(2)
    # torch's grids go from -1 to 1 along each axis, whatever its number of pixels.
    half = torch.tensor([width / 2, height / 2], device=x.device)
    theta = torch.cat([inverse * half / half.unsqueeze(1), (offset / half).unsqueeze(2)], 2)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def warp(x: Tensor, displacement: Tensor) -> Tensor:
    """Read each pixel of x: (batch, channels, height, width) from another place. Bilinear; 0 outside.

    displacement: (batch, height, width, 2), pixels right and down.
    """
    height, width = x.shape[-2:]
    same = torch.eye(2, 3, device=x.device).expand(len(x), 2, 3)
    half = torch.tensor([width / 2, height / 2], device=x.device)
    grid = F.affine_grid(same, list(x.shape), align_corners=False) + displacement / half
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
