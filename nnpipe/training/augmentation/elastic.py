"""Pictures as if drawn on rubber (Simard, Steinkraus & Platt 2003, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.training.augmentation.augmentation import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Elastic(Augmentation):
    """Each pixel moves its own way: even noise between -1 and 1, smoothed by a Gaussian, times ``alpha``.

    The paper's best for MNIST: sigma 4, alpha 34.
    """

    kind: Literal["elastic"] = "elastic"
    alpha: float = Field(34, gt=0, description="Strength, in pixels before smoothing.")
    sigma: float = Field(4, gt=0, description="Standard deviation of the smoothing, in pixels: large is a slow wave.")

    def apply(self, x: Tensor, generator: Generator) -> Tensor:
        from torchvision.transforms.v2 import functional

        from nnpipe.training.augmentation.warp import uniform, warp

        height, width = x.shape[-2:]
        noise = uniform(-1, 1, (len(x), 2, height, width), generator, x)
        # Smoothing mirrors at the edges, so a kernel cannot be wider than twice the picture.
        radius = min(round(3 * self.sigma), min(height, width) - 1)
        smooth = functional.gaussian_blur(noise, [2 * radius + 1] * 2, [self.sigma] * 2)
        return warp(x, self.alpha * smooth.permute(0, 2, 3, 1))
