"""The convolution of images: one kernel a filter, moved over every place of all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from nnpipe.models.initialisers import initialise
from nnpipe.models.layers.layer import Pair, Shape, ShapeError, WeightedLayer, image_shape, shown
from nnpipe.spec import problem

if TYPE_CHECKING:
    from torch import Generator, nn


class Conv2d(WeightedLayer):
    """``filters`` feature maps; weight: (filters, channels, height, width) of the kernel, bias: (filters,).

    Padding ``valid`` adds nothing; ``same`` adds zeros all around, so that maps are as large as the image.
    """

    kind: Literal["conv2d"] = "conv2d"
    filters: int = Field(ge=1, description="How many feature maps leave the layer.")
    kernel: Pair = Field(description="Height and width of the kernel; one number for both.")
    stride: Pair = Field((1, 1), description="Rows and columns from one place to the next.")
    padding: Literal["valid", "same"] = "valid"

    @model_validator(mode="after")
    def _check_same_padding(self) -> Conv2d:
        # Elsewhere frameworks disagree on which side gets the odd zero, and an export could differ silently.
        if self.padding == "same" and (self.stride != (1, 1) or not all(size % 2 for size in self.kernel)):
            raise problem(
                "padding same needs an odd kernel and stride 1",
                path=("padding",),
                expected="an odd kernel and stride 1",
                found=f"kernel {shown(self.kernel)}, stride {shown(self.stride)}",
                hint="take padding valid, or subsample with max_pool2d",
            )
        return self

    def output_shape(self, shape: Shape) -> Shape:
        _, height, width = image_shape(self.kind, shape)
        rows, columns = (
            size + 2 * pad - kernel for size, pad, kernel in zip((height, width), self._zeros, self.kernel, strict=True)
        )
        if rows < 0 or columns < 0:
            raise ShapeError(
                "the kernel is larger than what it is moved over",
                expected=f"a kernel of at most {height}x{width}",
                found=f"a kernel of {shown(self.kernel)}",
                hint="take a smaller kernel, padding same, or less subsampling before it",
            )
        return self.filters, rows // self.stride[0] + 1, columns // self.stride[1] + 1

    def parameters(self, shape: Shape) -> int:
        return self.filters * (shape[0] * self.kernel[0] * self.kernel[1] + 1)

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        # skip_init, because the constructor alone would draw from the global generator.
        conv: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Conv2d, shape[0], self.filters, self.kernel, stride=self.stride, padding=self._zeros
        )
        initialise(self.init, conv.weight, generator)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # its stub says it may be None
        return conv

    @property
    def _zeros(self) -> tuple[int, int]:
        """Rows above and below, columns left and right."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.padding == "same" else (0, 0)
