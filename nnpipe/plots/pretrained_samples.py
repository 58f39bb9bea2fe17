"""What pretrained Boltzmann machines dream of: a chain in the last of them, and the way down through those below."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import ClassVar, Literal

from nnpipe.plots.chain_picture import ChainPicture
from nnpipe.plots.picture import Drawing, Pretrained, Section, Subject


class PretrainedSamples(ChainPicture):
    """The layers that were pretrained as a deep belief net: the last is its top machine, the others lead down.

    Layers that learned together as a deep Boltzmann machine have a chain through all of them.
    """

    kind: Literal["pretrained_samples"] = "pretrained_samples"
    needs: ClassVar[str] = "layers that are all pretrained as machines of binary units, and images"
    section: ClassVar[Section] = "generation"

    def applies(self, subject: Subject) -> bool:
        layers, shape = subject.pretrained, subject.image_shape
        if not layers or shape is None or not all(map(_is_binary, layers)):
            return False
        sizes = [layer.tensors["weight"].shape for layer in layers]
        fitting = all(above[1] == below[0] for below, above in pairwise(sizes))
        return fitting and sizes[0][1] == prod(shape)

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.models.deep_belief_net import DeepBeliefNet
        from nnpipe.models.deep_boltzmann_machine import DeepBoltzmannMachine
        from nnpipe.plots.samples import check_held, draw_samples
        from nnpipe.training.seeds import generator

        layers, last = [layer.tensors for layer in subject.pretrained], subject.pretrained[-1]
        check_held(self.kind, "unit", self.unit, len(last.tensors["bias"]))
        net: DeepBeliefNet | DeepBoltzmannMachine
        if subject.joint_history:
            net, where = DeepBoltzmannMachine.composed(layers), f"all {len(layers)} pretrained layers together"
        else:
            net, where = DeepBeliefNet.pretrained(layers), f"the last of {len(layers)} pretrained layers"
        tiles = net.samples(self.rows, self.steps, generator(self.seed), unit=self.unit).numpy()
        held = "" if self.unit is None else f", hidden unit {self.unit} of the last held at 1"
        names = [f"{step:,}" for step in self.steps]
        return Drawing(
            title="Samples after pretraining",
            caption=f"Each row is a chain in {where}{held}; columns "
            f"are what comes down to the data from where it stands after {', '.join(names)} Gibbs steps. Greys are "
            "probabilities. The more they look like the data, the better the layers together model them; no label was "
            "held, and fine-tuning was still to come.",
            alt=f"A grid of images that pretrained layers generated, {self.rows} rows by {len(names)} columns.",
            figure=draw_samples(tiles, subject, [str(row) for row in range(1, self.rows + 1)], names),
        )


def _is_binary(layer: Pretrained) -> bool:
    """Whether it is a machine of binary units that sees the layer below as it is."""
    told = layer.document.get("layer", {})
    hidden = told.get("kind") == "classification_rbm" or told.get("activation") == "sigmoid"
    visible = layer.document.get("method", {}).get("visible", "auto") in ("auto", "bernoulli")
    seen_as_it_is = all(each["kind"] == "flatten" for each in layer.document.get("between", ()))
    return layer.summary["method"] in ("rbm", "doubled_rbm") and hidden and visible and seen_as_it_is
