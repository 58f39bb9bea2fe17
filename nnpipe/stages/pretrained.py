"""Where a stage finds the layers that pretraining left: each in the artifact of its own, or all in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nnpipe.store.artifact import Artifact

if TYPE_CHECKING:
    import numpy as np

JOINT = "pretrain/joint"  # the stage in which layers learn on together

Tensors = Mapping[str, "np.ndarray"]


def pretrained_layers(inputs: Mapping[str, Artifact], number: int) -> list[Tensors]:
    """The tensors of the first ``number`` layers as pretraining left them at last, from the first."""
    if JOINT in inputs:
        return joint_layers(inputs[JOINT])
    return [inputs[f"pretrain/{layer}"].tensors("layer")[0] for layer in range(1, number + 1)]


def joint_layers(artifact: Artifact) -> list[Tensors]:
    """The tensors of the layers that an artifact of ``pretrain/joint`` has, from the first."""
    return [artifact.tensors(joint_layer(number))[0] for number in range(1, len(artifact.summary["units"]))]


def joint_layer(number: int) -> str:
    """What the file of a layer is called, counted from 1."""
    return f"layer_{number}"


def numbered(names: Iterable[str], stage: str) -> list[str]:
    """``stage/0``, ``stage/1``, ... among ``names``, in the order of their numbers."""
    found = ((name, name.removeprefix(f"{stage}/")) for name in names if name.startswith(f"{stage}/"))
    return [name for name, _ in sorted((each for each in found if each[1].isdecimal()), key=lambda each: int(each[1]))]
