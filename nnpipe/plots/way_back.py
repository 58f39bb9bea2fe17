"""Which pretrained layers can be decoded down to the data."""

from __future__ import annotations

from collections.abc import Sequence

from nnpipe.plots.picture import Pretrained, Subject

POOLS = ("max_pool2d", "avg_pool2d", "global_max_pool2d", "global_average_pool2d")
SHAPES = ("flatten", "reshape")


def with_a_way_back(subject: Subject) -> Sequence[Pretrained]:
    """The pretrained layers from the first, up to one that cannot be decoded."""
    found: list[Pretrained] = []
    for each in subject.pretrained:
        between = each.document.get("between", ())
        learnt = each.tensors.keys()
        if (
            "visible_bias" not in learnt
            or "label_weight" in learnt
            or any(layer["kind"] not in (*POOLS, *SHAPES) for layer in between)
        ):
            break
        found.append(each)
    return found
