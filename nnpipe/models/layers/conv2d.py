"""The convolution of images: one kernel a filter, moved over every place of all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from nnpipe.models.layers.layer import Pair, Shape, ShapeError, WeightedLayer, image_shape, shown
from nnpipe.spec import problem

if TYPE_CHECKING:
    from torch import Generator, nn


class Conv2d(WeightedLayer):
    """``filters`` feature maps; weight: (filters, channels / groups, height, width) of the kernel, bias: (filters,).

    Padding ``valid`` adds nothing; ``same`` adds zeros all around, so that maps are as large as the image.
    ``dilation`` 2 leaves one row and column out between those that a kernel reads (Yu & Koltun 2016, section 2).
    In ``groups``, each n-th of the filters reads an n-th of the channels (Krizhevsky et al. 2012, section 3.5).
    """

    kind: Literal["conv2d"] = "conv2d"
    filters: int = Field(ge=1, description="How many feature maps leave the layer.")
    kernel: Pair = Field(description="Height and width of the kernel; one number for both.")
    stride: Pair = Field((1, 1), description="Rows and columns from one place to the next.")
    padding: Literal["valid", "same"] = "valid"
    dilation: Pair = Field((1, 1), description="Rows and columns from one value that a kernel reads to the next.")
    groups: int = Field(1, ge=1, description="Groups of channels that filters are divided among.")

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

    @model_validator(mode="after")
    def _check_groups(self) -> Conv2d:
        if self.filters % self.groups:
            raise problem(
                f"{self.filters} filters do not divide into {self.groups} groups",
                path=("groups",),
                expected=f"a divisor of {self.filters}",
                found=str(self.groups),
            )
        return self

    def output_shape(self, shape: Shape) -> Shape:
        channels, height, width = image_shape(self.kind, shape)
        rows, columns = (
            size + 2 * pad - reach for size, pad, reach in zip((height, width), self.zeros, self.reach, strict=True)
        )
        if rows < 0 or columns < 0:
            dilated = f" that reaches over {shown(self.reach)}" if self.dilation != (1, 1) else ""
            raise ShapeError(
                "the kernel is larger than what it is moved over",
                expected=f"a kernel of at most {height}x{width}",
                found=f"a kernel of {shown(self.kernel)}{dilated}",
                hint="take a smaller kernel, padding same, or less subsampling before it",
            )
        if channels % self.groups:
            raise ShapeError(
                f"{channels} channels do not divide into {self.groups} groups",
                expected=f"groups that divide {channels}",
                found=f"groups {self.groups}",
                hint="take a number that divides both the channels and the filters",
            )
        return self.filters, rows // self.stride[0] + 1, columns // self.stride[1] + 1

    def parameters(self, shape: Shape) -> int:
        return self.filters * (shape[0] // self.groups * self.kernel[0] * self.kernel[1] + 1)

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        from torch import nn

        # skip_init, because the constructor alone would draw from the global generator.
        conv: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Conv2d,
            shape[0],
            self.filters,
            self.kernel,
            stride=self.stride,
            padding=self.zeros,
            dilation=self.dilation,
            groups=self.groups,
        )
        assert conv.bias is not None
        self.initialise(conv.weight, conv.bias, generator)
        return conv

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first to the last value that a kernel reads."""
        (height, width), (rows, columns) = self.kernel, self.dilation
        return rows * (height - 1) + 1, columns * (width - 1) + 1

    @property
    def zeros(self) -> tuple[int, int]:
        """Rows above and below, columns left and right."""
        return (self.reach[0] // 2, self.reach[1] // 2) if self.padding == "same" else (0, 0)
