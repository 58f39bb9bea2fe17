"""The first layer's filters: what each of its units looks for in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np


class Filters(Picture):
    """The kernels of a first convolution, or the receptive fields of a first dense layer, as images."""

    kind: Literal["filters"] = "filters"
    needs: ClassVar[str] = "images of one or three channels that go straight into a conv2d or dense layer"
    section: ClassVar[Section] = "weights"
    count: int = Field(100, ge=1, le=100, description="How many to show at most, the strongest first.")
    scale: Literal["shared", "each"] = Field("shared", description="One colour scale for all, or one for each.")
    numbers: bool = Field(True, description="Whether the number of its unit, from 0, stands above each filter.")

    def applies(self, subject: Subject) -> bool:
        return _filters(subject) is not None

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.mosaic import draw_filters

        found = _filters(subject)
        assert found is not None
        filters, bias = found
        height, width = filters.shape[2:]
        grid = draw_filters(filters, self.count, self.scale, numbers=self.numbers)
        numbered = " Numbers are those of the units, from 0." * self.numbers
        biases = "" if bias is None else f" Biases go from {bias.min():.3g} to {bias.max():.3g}."
        return Drawing(
            title="Filters of the first layer",
            caption=f"Each square shows the {height} by {width} weights of one unit of the first layer, laid out as "
            f"the pixels that they multiply.{numbered} {grid.words()}{biases}",
            alt=f"A grid of {grid.shown} filters of {height} by {width} weights, red positive, blue negative.",
            figure=grid.figure,
        )


def _filters(subject: Subject) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(units, channels, height, width) and biases; None where the first layer with weights does not see the image."""
    for index, layer in enumerate(subject.document["architecture"]["layers"]):
        weight = subject.tensors.get(f"layers.{index}.weight")
        if weight is not None:
            fields = subject.receptive_fields(weight)
            return None if fields is None else (fields, subject.tensors.get(f"layers.{index}.bias"))
        if layer["kind"] not in ("flatten", "dropout"):
            return None
    return None
