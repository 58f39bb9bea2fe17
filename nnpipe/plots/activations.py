"""What leaves every layer for one test example: feature maps of convolutions and pools, units, classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import units, words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    import torch

NOT_SHOWN = ("flatten", "reshape", "dropout")  # they give on what they are given
MOST_LAYERS = 8


class Activations(Picture):
    """The input of a network and what leaves each of its layers, for one test example."""

    kind: Literal["activations"] = "activations"
    needs: ClassVar[str] = "images of one or three channels, and a hidden layer of units"
    section: ClassVar[Section] = "activations"
    example: int | None = Field(
        None, ge=0, description="The place of the test example, from 0; left out: the first that is predicted right."
    )
    maps: int = Field(32, ge=1, le=128, description="How many feature maps of a layer to show at most.")

    def applies(self, subject: Subject) -> bool:
        return subject.image_shape is not None and len(subject.inputs) > 0 and bool(units.hidden(subject))

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.activation_panels import draw_panels

        example = _chosen(subject, self.example)
        layers = _activations(subject, example)
        shown = layers if len(layers) <= MOST_LAYERS else _spread_out(layers)
        seen = " ".join(filter(None, (_answer(subject, example), _extremes(shown))))
        return Drawing(
            title="Activations",
            caption=f"What test example {example} makes of the network: the input, and below it what leaves each layer"
            f"{'' if shown is layers else f', {MOST_LAYERS} of {len(layers)}'}. A square is a feature map, {self.maps} "
            f"of a layer at most, a small cell is a unit, row by row. {_colours(shown)} {seen}".strip(),
            alt=f"An image and the activations of {len(shown)} layers above one another. {seen}".strip(),
            figure=draw_panels(subject, example, shown, self.maps),
        )


class Activation(NamedTuple):
    """What leaves the layer at ``place``: (units,), (channels, height, width) or, last, a number an output."""

    place: int
    name: str
    activation: str
    values: np.ndarray


def _chosen(subject: Subject, example: int | None) -> int:
    import numpy as np

    if example is not None:
        units.check_number("activations", "example", example, first=0, last=len(subject.inputs) - 1)
        return example
    if not subject.class_names:
        return 0
    right = np.flatnonzero(subject.predictions.argmax(axis=1) == subject.truth)
    return int(right[0]) if len(right) else 0


def _activations(subject: Subject, example: int) -> list[Activation]:
    import torch

    network = subject.network
    with torch.inference_mode():
        (x,) = units.asked(subject, _one(example))
        values = network.activations(x)
        if subject.class_names:
            values[-1] = network.predict(x)[0]
    layers = network.architecture.layers
    return [
        Activation(
            place,
            units.told(subject, place),
            getattr(layers[place], "activation", ""),
            _without_single_pixels(found[0]),
        )
        for place, found in enumerate(values)
        if layers[place].kind not in NOT_SHOWN or place == len(layers) - 1
    ]


def _one(example: int) -> np.ndarray:
    import numpy as np

    return np.array([example])


def _without_single_pixels(values: torch.Tensor) -> np.ndarray:
    """Maps of one pixel are units."""
    return (values.flatten() if values[0].numel() == 1 else values).numpy()


def _spread_out(layers: Sequence[Activation]) -> list[Activation]:
    """MOST_LAYERS of them, as far apart as may be, the first and the last among them."""
    import numpy as np

    return [layers[round(place)] for place in np.linspace(0, len(layers) - 1, MOST_LAYERS)]


def _answer(subject: Subject, example: int) -> str:
    if not subject.class_names:
        return ""
    said, true = int(subject.predictions[example].argmax()), int(subject.truth[example])
    names, score = subject.class_names, f"{subject.score} {subject.predictions[example, said]:.3f}"
    mistaken = "" if said == true else f" It is {names[true]}."
    return f"The network says {names[said]}, with {score}.{mistaken}"


def _colours(layers: Sequence[Activation]) -> str:
    signed = [str(layer.place + 1) for layer in layers[:-1] if layer.values.min() < 0]
    told = "White is zero, and the darkest blue the largest value of a layer"
    if not signed:
        return f"{told}."
    if len(signed) == len(layers) - 1:
        return "White is zero, red is positive, blue is negative, each layer on a scale of its own."
    return f"{told}; where values are negative too (layer {words.joined(signed)}), these are blue and the others red."


def _extremes(layers: Sequence[Activation]) -> str:
    """How much of what leaves hidden layers is nothing at all, or as much as it can be."""
    from nnpipe.training.inspection import SATURATED

    zero = [(layer.place, float((layer.values == 0).mean())) for layer in layers[:-1]]
    flat = []
    for layer in layers[:-1]:
        if layer.activation in SATURATED:
            low, high = SATURATED[layer.activation]
            flat.append((layer.place, float(((layer.values < low) | (layer.values > high)).mean())))
    return " ".join(filter(None, (_told(zero, "zero"), _told(flat, "at a flat end of the nonlinearity"))))


def _told(shares: Sequence[tuple[int, float]], what: str) -> str:
    told = [f"{share:.0%} of layer {place + 1}" for place, share in shares if share >= 0.005]
    return f"Of the values {words.joined(told)} are {what}." if told else ""
