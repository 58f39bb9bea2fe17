"""Samples of a deep belief net that was trained: what it takes for data, a label or a hidden unit held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpipe.errors import UsageError, nearest
from nnpipe.pipeline.run import resolve
from nnpipe.store.artifact import Artifact
from nnpipe.store.store import Store

if TYPE_CHECKING:
    import numpy as np

GENERATIVE = "generative"


def samples_of(
    store: Store, ref: str, label: str | int | None, unit: int | None, steps: int, count: int, seed: int
) -> np.ndarray:
    """What a network fine-tuned by ``up_down`` generates, (count, *input_shape) float32 in the data's units.

    ref: as on the command line. label: the class to be held, by its name or number. unit: the hidden unit of the top
    machine to be held at 1. steps: of Gibbs sampling, from a start without data.

    Raises:
        UsageError: nothing is called so, it cannot generate, or it has no such label or unit.
    """
    import numpy as np

    model = generating(store, ref)
    scaling = model.tensors("model")[1]["scaling"]
    offset, scale = (np.asarray(scaling[name], np.float32) for name in ("offset", "scale"))
    return drawn(model, label, unit, steps, count, seed) * scale + offset


def generating(store: Store, ref: str) -> Artifact:
    """The artifact that ``ref`` means, if it can generate.

    Raises:
        UsageError: it cannot, or ``ref`` means nothing.
    """
    model = store.artifact(resolve(store, ref))
    if GENERATIVE not in model.manifest.parts:
        raise UsageError(
            f"{ref} is no network that generates",
            expected="an artifact of finetune with train.algorithm: up_down",
            found=f"an artifact of {model.manifest.stage}",
        )
    return model


def drawn(model: Artifact, label: str | int | None, unit: int | None, steps: int, count: int, seed: int) -> np.ndarray:
    """(count, *input_shape) probabilities, float32. Raises UsageError as ``sample`` does."""
    import torch

    from nnpipe.models.deep_belief_net import DeepBeliefNet
    from nnpipe.training.seeds import generator

    tensors, document = model.tensors("model")
    net = DeepBeliefNet.learned(tensors, model.tensors(GENERATIVE)[0])
    _known("number of steps", steps, 1)
    _known("number of samples", count, 1)
    if unit is not None:
        _known("hidden unit", unit, 0, len(net.machine.bias) - 1)
    held = None if label is None else torch.full((count,), _number(label, document["class_names"]))
    found = net.samples(count, [steps], generator(seed), held, unit)[0]
    return found.reshape(count, *document["input_shape"]).numpy()


def _known(what: str, value: int, least: int, most: int | None = None) -> None:
    if value < least or (most is not None and value > most):
        expected = f"a number from {least}" + ("" if most is None else f" to {most}")
        raise UsageError(f"no {what} {value}", expected=expected, found=str(value))


def _number(label: str | int, names: list[str]) -> int:
    """The class called ``label``, or of that number."""
    if str(label) in names:
        return names.index(str(label))
    if str(label).isdecimal() and int(label) < len(names):
        return int(label)
    raise UsageError(
        f"no label {label!r}", expected="one of " + ", ".join(names), found=str(label), hint=nearest(str(label), names)
    )
