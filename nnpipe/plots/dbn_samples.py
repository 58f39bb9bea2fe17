"""What a deep belief net dreams of: samples of each class, by its label held, after more and more Gibbs steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.chain_picture import ChainPicture
from nnpipe.plots.picture import Drawing, Section, Subject

if TYPE_CHECKING:
    import torch


class DbnSamples(ChainPicture):
    """Chains in the top machine, and a way down to the data from where each stands after ``steps``.

    Left to itself, a row is a class, its label held. With a label, or a hidden unit of the top machine held at 1, the
    rows are chains that differ by chance alone; with a unit and no label, labels are sampled too.
    """

    kind: Literal["dbn_samples"] = "dbn_samples"
    needs: ClassVar[str] = "a network fine-tuned by up_down, and images of one or three channels"
    section: ClassVar[Section] = "generation"
    label: int | None = Field(None, ge=0, description="The class to be held, by its number; left out: each in its row.")

    def applies(self, subject: Subject) -> bool:
        return subject.generative is not None and subject.image_shape is not None

    def draw(self, subject: Subject) -> Drawing:
        import torch

        from nnpipe.models.deep_belief_net import DeepBeliefNet
        from nnpipe.plots.samples import check_held, draw_samples
        from nnpipe.training.seeds import generator

        assert subject.generative is not None
        net = DeepBeliefNet.learned(subject.tensors, subject.generative)
        check_held(self.kind, "label", self.label, len(net.machine.label_bias))
        check_held(self.kind, "unit", self.unit, len(net.machine.bias))
        names = subject.class_names
        labels: torch.Tensor | None
        if self.label is None and self.unit is None:
            labels, rows, what = torch.arange(len(names)), names, "one class, its label held"
        else:
            held = [] if self.label is None else [f"the label {names[self.label]}"]
            held += [] if self.unit is None else [f"hidden unit {self.unit}"]
            labels = None if self.label is None else torch.full((self.rows,), self.label)
            rows, what = [str(row) for row in range(1, self.rows + 1)], f"one chain, {' and '.join(held)} held"
        tiles = net.samples(len(rows), self.steps, generator(self.seed), labels, self.unit).numpy()
        told = ", ".join(f"{step:,}" for step in self.steps)
        return Drawing(
            title="Samples of the deep belief net",
            caption=f"Each row is {what}; columns are what the net generates after {told} Gibbs steps in its top "
            "machine, from a start without any data, and a way down by generative weights. Grey levels are "
            "probabilities. Rows that look like their class say that the net is a model of the images, not only of "
            "their labels; columns that stay alike, that chains mix slowly.",
            alt=f"A grid of images that the network generated, {len(rows)} rows by {len(self.steps)} columns.",
            figure=draw_samples(tiles, subject, rows, [f"{step:,}" for step in self.steps]),
        )
