"""The units of a network as pictures name and ask them: layers are counted from 1, units from 0.

A convolution's filter is one unit: what it says of an example is the largest value of its map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.layers.layer import ActivatedLayer
from nnpipe.plots import words

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nnpipe.plots.picture import Subject

BATCH = 100  # examples asked about at once: the maps of a convolution are large


def hidden(subject: Subject) -> list[int]:
    """The places of the layers of units below the last layer with weights."""
    layers = subject.document["architecture"]["layers"]
    last = max((int(name.split(".")[1]) for name in subject.tensors), default=0)
    return [place for place, layer in enumerate(layers[:last]) if "activation" in layer]


def chosen_layer(subject: Subject, picture: str, number: int | None) -> int:
    """The place of layer ``number``, from 1; left out: an autoencoder's code, else the last hidden layer of units.

    Raises:
        StageError: there is no such layer.
    """
    if number is None:
        return hidden(subject)[-1] if subject.code is None else subject.code
    check_number(picture, "layer", number, first=1, last=len(subject.network.architecture.layers))
    return number - 1


def check_number(picture: str, option: str, number: int, *, first: int, last: int) -> None:
    """Refuse a number that an option of a picture cannot have here.

    Raises:
        StageError: it is not from ``first`` to ``last``.
    """
    if not first <= number <= last:
        raise StageError(
            f"there is no {option} {number}",
            where=f"visualize, {picture}.{option}",
            expected=f"a number from {first} to {last}",
            found=str(number),
        )


def told(subject: Subject, place: int) -> str:
    """A layer as a title: its number, its kind, the shape that leaves it, its activation."""
    layer = subject.network.architecture.layers[place]
    shape = subject.network.architecture.shapes(subject.network.input_shape)[place]
    activation = layer.activation if isinstance(layer, ActivatedLayer) else "linear"
    name = f"{place + 1}  {words.kind(layer.kind)}  {words.shape(shape)}"
    return name if activation == "linear" else f"{name}  {words.kind(activation)}"


def in_words(subject: Subject, place: int) -> str:
    """A layer in a sentence."""
    number, *rest = told(subject, place).split("  ")
    return f"layer {number} ({', '.join(rest)})"


def some(subject: Subject, count: int) -> np.ndarray:
    """The places of ``count`` test examples drawn once for all, in order; all of them where there are fewer."""
    import torch

    total = len(subject.inputs)
    drawn = torch.randperm(total, generator=torch.Generator().manual_seed(0))[:count]
    return drawn.sort().values.numpy()


def looked_at(subject: Subject, count: int) -> str:
    """How many test examples ``some`` gives, in words."""
    total = len(subject.inputs)
    return f"{count:,} test examples drawn from {total:,}" if count < total else f"{total:,} test examples"


def asked(subject: Subject, places: np.ndarray) -> Iterator[Tensor]:
    """Test examples as the network reads them, (at most BATCH, *input_shape) at a time."""
    import torch

    for start in range(0, len(places), BATCH):
        chosen = subject.inputs[places[start : start + BATCH]]
        yield torch.from_numpy(subject.network.scaling.apply(chosen))


def activity(subject: Subject, place: int, examples: np.ndarray) -> np.ndarray:
    """What each unit of the layer at ``place`` says of test examples: (examples, units)."""
    import torch

    with torch.inference_mode():
        found = [strongest(subject.network.activations(x)[place]) for x in asked(subject, examples)]
    return torch.cat(found).numpy()


def strongest(values: Tensor) -> Tensor:
    """(examples, units) of what leaves a layer, (examples, units, ...)."""
    return values.flatten(2).amax(2) if values.ndim > 2 else values


def chosen_units(picture: str, units: Sequence[int], count: int, answers: np.ndarray) -> list[int]:
    """``units``; where none is named the ``count`` of ``telling`` for ``answers``, (examples, units), in order.

    Raises:
        StageError: there is no such unit.
    """
    for unit in units:
        check_number(picture, "units", unit, first=0, last=answers.shape[1] - 1)
    return list(units) or sorted(telling(answers, count))


def telling(answers: np.ndarray, count: int) -> list[int]:
    """The unit whose ``answers``, (examples, units), vary most, then those that vary most beside what they share.

    What a unit shares with those before it is its projection on them: a QR decomposition with column pivoting.
    """
    import numpy as np

    left = answers.astype(np.float64) - answers.mean(axis=0)
    found: list[int] = []
    while len(found) < min(count, answers.shape[1]):
        sizes = np.linalg.norm(left, axis=0)
        sizes[found] = -1  # what is left of them is rounding
        found.append(int(sizes.argmax()))
        direction = left[:, found[-1]] / (sizes[found[-1]] or 1)
        left -= np.outer(direction, direction @ left)
    return found


def class_scores(subject: Subject, x: Tensor) -> Tensor:
    """What the network weighs classes by before it makes probabilities of it: (batch, classes).

    One unit's sum speaks for the second class as much as against the first.
    """
    import torch

    logits = subject.network.logits(x)
    return torch.cat([-logits, logits], 1) if logits.shape[1] == 1 else logits
