"""Where the first weights of each layer come from: pretraining, another run or chance, and never two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpipe.models.layers.layer import WeightedLayer
from nnpipe.pretraining.pretrain import pretrained_layers
from nnpipe.spec import problem
from nnpipe.training.start import weighted_layers

if TYPE_CHECKING:
    from nnpipe.pipeline.spec import Spec


def check_first_weights(spec: Spec) -> None:
    """Refuse a layer that has two origins or none that counts.

    Raises:
        PydanticCustomError: what is wrong, at its place in the spec.
    """
    start, frozen, there = spec.train.start, spec.train.frozen_epochs, weighted_layers(spec.model)
    pretrained = set(range(1, len(pretrained_layers(spec.model, spec.pretrain)) + 1)) if spec.pretrain else set()
    if spec.model.unroll:  # what mirrors a pretrained layer starts from it
        pretrained |= {there + 1 - number for number in pretrained}
    started = {each.layer for each in start.layers_of(spec.model)} if start else set()
    imported = spec.model.layers[: spec.model.keep] if spec.model.file else ()
    filed = set(range(1, sum(isinstance(layer, WeightedLayer) for layer in imported) + 1))
    if start and start.ref in (spec.name, f"{spec.name}/latest"):
        raise problem(
            "a run cannot start from its own spec's latest network: each would begin where the one before ended",
            path=("train", "start", "from"),
            expected="another spec's, or a ref that stays",
            found=start.ref,
            hint=f"nnpipe promote {spec.name}, and start from {spec.name}/champion",
        )
    if both := sorted(started & pretrained):
        raise problem(
            f"layer {both[0]} is pretrained here, and starts from another run",
            path=("train", "start"),
            expected="one of both for each layer",
            found=f"pretrained layers {', '.join(map(str, sorted(pretrained)))}",
            hint="name others, as in layers: [{layer: 3}], or leave pretrain out",
        )
    if both := sorted(filed & (pretrained | started)):
        raise problem(
            f"layer {both[0]} is read from a file, and {'pretrained here' if both[0] in pretrained else 'starts'}"
            f"{'' if both[0] in pretrained else ' from another run'}",
            path=("model", "from"),
            expected="one of both for each layer",
            found=f"layers {', '.join(map(str, sorted(filed)))} from the file",
        )
    ready = started | pretrained | filed
    if frozen and len(ready) in (0, there):
        raise problem(
            "all layers would be frozen" if ready else "there is nothing to freeze",
            path=("train", "frozen_epochs"),
            expected="some layers that are pretrained, or start from a file or another run, and some that are not",
            found=f"{len(ready) or 'none'} of {there} layers with weights",
        )
