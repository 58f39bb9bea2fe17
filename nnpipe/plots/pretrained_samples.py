"""What pretrained Boltzmann machines dream of: a chain in the last of them, and the way down through those below."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Pretrained, Subject

Steps = Annotated[int, Field(ge=1, le=100_000)]


class PretrainedSamples(Picture):
    """The layers that were pretrained as a deep belief net: the last is its top machine, the others lead down."""

    kind: Literal["pretrained_samples"] = "pretrained_samples"
    needs: ClassVar[str] = "layers that are all pretrained as machines of binary units, and images"
    steps: tuple[Steps, ...] = Field(
        (1, 3, 10, 30, 100, 300, 1000), min_length=1, description="Gibbs steps: a column for each."
    )
    unit: int | None = Field(None, ge=0, description="The hidden unit of the last machine to be held at 1.")
    rows: int = Field(6, ge=1, le=50, description="How many chains.")
    seed: int = Field(0, ge=0, description="Of the chains.")

    def applies(self, subject: Subject) -> bool:
        layers, shape = subject.pretrained, subject.image_shape
        if not layers or shape is None or not all(map(_is_binary, layers)):
            return False
        sizes = [layer.tensors["weight"].shape for layer in layers]
        fitting = all(above[1] == below[0] for below, above in pairwise(sizes))
        return fitting and sizes[0][1] == prod(shape)

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.models.deep_belief_net import DeepBeliefNet
        from nnpipe.plots.samples import check_held, draw_samples
        from nnpipe.training.seeds import generator

        net = DeepBeliefNet.pretrained([layer.tensors for layer in subject.pretrained])
        check_held(self.kind, "unit", self.unit, len(net.machine.bias))
        tiles = net.samples(self.rows, sorted(set(self.steps)), generator(self.seed), unit=self.unit).numpy()
        held = "" if self.unit is None else f", hidden unit {self.unit} of the last held at 1"
        names = [f"{step:,}" for step in sorted(set(self.steps))]
        return Drawing(
            title="Samples after pretraining",
            caption=f"Each row is a chain in the last of {len(subject.pretrained)} pretrained layers{held}; columns "
            f"are what comes down to the data from where it stands after {', '.join(names)} Gibbs steps. Greys are "
            "probabilities. The more they look like the data, the better the layers together model them; no label was "
            "held, and fine-tuning was still to come.",
            alt=f"A grid of images that pretrained layers generated, {self.rows} rows by {len(names)} columns.",
            figure=draw_samples(tiles, subject, [str(row) for row in range(1, self.rows + 1)], names),
        )


def _is_binary(layer: Pretrained) -> bool:
    """Whether it is a machine of binary units that sees the layer below as it is."""
    method = layer.document.get("method", {})
    binary = method.get("visible", "auto") in ("auto", "bernoulli")
    return (
        layer.summary["method"] == "rbm"
        and "visible_bias" in layer.tensors
        and layer.document.get("layer", {}).get("activation") in ("sigmoid", "softmax")
        and all(each["kind"] == "flatten" for each in layer.document.get("between", ()))
        and binary
    )
