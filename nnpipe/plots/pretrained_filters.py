"""The first layer's filters as pretraining left them, before fine-tuning."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nnpipe.plots import words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject


class PretrainedFilters(Picture):
    """The weights of the first pretrained layer, one image a hidden unit."""

    kind: Literal["pretrained_filters"] = "pretrained_filters"
    needs: ClassVar[str] = "a pretrained first layer and images of one or three channels"
    section: ClassVar[Section] = "weights"
    count: int = Field(100, ge=1, le=100, description="How many to show at most, the strongest first.")
    scale: Literal["shared", "each"] = Field("shared", description="One colour scale for all, or one for each.")
    numbers: bool = Field(True, description="Whether the number of its unit, from 0, stands above each filter.")

    def applies(self, subject: Subject) -> bool:
        return (
            bool(subject.pretrained) and subject.receptive_fields(subject.pretrained[0].tensors["weight"]) is not None
        )

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.mosaic import draw_filters

        first = subject.pretrained[0]
        filters = subject.receptive_fields(first.tensors["weight"])
        assert filters is not None
        height, width = filters.shape[2:]
        seen = "and their labels" if first.summary.get("labels") else "but no label"
        method = words.kind(first.summary["method"]) + (", then all layers together" if subject.joint_history else "")
        numbered = " Numbers are those of the units, from 0." * self.numbers
        grid = draw_filters(filters, self.count, self.scale, numbers=self.numbers)
        return Drawing(
            title="Filters after pretraining",
            caption=f"The first layer's {height} by {width} weights after pretraining ({method}), "
            f"which saw the images {seen}; fine-tuning starts from these.{numbered} {grid.words()}",
            alt=f"A grid of {grid.shown} pretrained filters of {height} by {width} weights, in red and blue.",
            figure=grid.figure,
        )
