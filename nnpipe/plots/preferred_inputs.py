"""The input that each class, or each of some units, would like best, made up by gradient ascent."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import units
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from torch import Tensor

COLUMNS = 5
TEXT = 0.36  # inches, for the words under an image
GAP = 0.1


class PreferredInputs(Picture):
    """Activation maximisation (Erhan et al. 2009) of what classes or units are weighed by before the nonlinearity.

    Of a convolution's map the value in the middle is maximised.
    """

    kind: Literal["preferred_inputs"] = "preferred_inputs"
    needs: ClassVar[str] = "images of one or three channels, and classes unless 'layer' is set"
    section: ClassVar[Section] = "activations"
    layer: int | None = Field(None, ge=1, description="Which layer's units, from 1; left out: the classes.")
    units: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), max_length=20, description="Which units or classes, from 0; left out: the first classes, or telling units."
    )
    count: int = Field(10, ge=1, le=20, description="How many to show, where none is named.")
    steps: int = Field(60, ge=1, le=10_000, description="Steps of gradient ascent.")
    blur: float = Field(0.3, ge=0, le=5, description="How much each step is smoothed: pixels; 0: not at all.")
    examples: int = Field(500, ge=2, le=10_000, description="How many test examples to compare with, drawn from all.")
    seed: int = Field(0, ge=0, description="Of where the ascent starts.")

    def applies(self, subject: Subject) -> bool:
        told = self.layer is not None or bool(subject.class_names)
        return told and subject.image_shape is not None and len(subject.inputs) > 1

    def draw(self, subject: Subject) -> Drawing:
        place, found = _place(self, subject), found_for(self, subject)
        whose, what = ("class", "classes") if place is None else (f"unit of {units.in_words(subject, place)}", "units")
        seen = _seen(found, units.looked_at(subject, self.examples))
        return Drawing(
            title=f"What {what} would like best",
            caption=f"For each {whose} the input that speaks most for it, made up in {self.steps} steps of gradient "
            "ascent from near the mean image, within the range of the data and no farther from their mean than they "
            f"are on the average.{' Of a feature map the middle is asked.' * found.maps} Shapes in it are what the "
            "network goes by; where it is noise, noise is enough to persuade it. Below stands the "
            f"{'sum' if found.probabilities is None else 'probability'} that is reached. {seen}",
            alt=f"{len(found.names)} images made up by gradient ascent, one for each {whose}. {seen}",
            figure=_draw_images(subject, found),
        )


class Found(NamedTuple):
    """What was made up for units or classes of these ``names``.

    images: (units, channels, height, width), in the data's units.
    answers: (units,), what each says of its image, before the nonlinearity; best: the largest that it says of any test
        example.
    probabilities: (units,), of classes only, and where the network tells some.
    maps: whether the units are feature maps.
    """

    names: list[str]
    images: np.ndarray
    answers: np.ndarray
    best: np.ndarray
    probabilities: np.ndarray | None
    maps: bool


def found_for(options: PreferredInputs, subject: Subject) -> Found:
    """Make up the inputs.

    Raises:
        StageError: the layer or a unit is not there.
    """
    import numpy as np
    import torch

    from nnpipe.plots.activation_maximisation import Room, maximised
    from nnpipe.plots.images import in_data, value_range
    from nnpipe.training.seeds import generator

    network, place, examples = subject.network, _place(options, subject), units.some(subject, options.examples)
    x = torch.cat(list(units.asked(subject, examples)))
    answers = _answers(subject, place)
    with torch.no_grad():
        of_examples = torch.cat([answers(batch) for batch in torch.split(x, units.BATCH)]).numpy()
    chosen = _chosen(options, subject, place, examples)
    each = list(range(len(chosen)))
    low, high = (network.scaling.apply(np.full(subject.inputs.shape[1:], end)) for end in value_range(subject))
    room = Room.of(x, torch.from_numpy(low), torch.from_numpy(high))
    draws = generator(options.seed)
    inputs = maximised(lambda made: answers(made)[each, chosen], room, len(chosen), options.steps, options.blur, draws)
    with torch.no_grad():
        reached = answers(inputs)[each, chosen].numpy()
        tells = place is None and subject.score == "probability"
        probabilities = network.predict(inputs)[0][each, chosen].numpy() if tells else None
    names = [f"unit {unit}" for unit in chosen] if place is not None else [subject.class_names[unit] for unit in chosen]
    maps = place is not None and len(network.architecture.shapes(network.input_shape)[place]) == 3
    return Found(names, in_data(subject, inputs), reached, of_examples[:, chosen].max(axis=0), probabilities, maps)


def _place(options: PreferredInputs, subject: Subject) -> int | None:
    """Of the layer whose units are asked; None for classes."""
    return None if options.layer is None else units.chosen_layer(subject, options.kind, options.layer)


def _chosen(options: PreferredInputs, subject: Subject, place: int | None, examples: np.ndarray) -> list[int]:
    """Which units of the layer at ``place``, or which classes."""
    if place is not None:
        activity = units.activity(subject, place, examples)
        return units.chosen_units(options.kind, options.units, options.count, activity)
    classes = len(subject.class_names)
    for label in options.units:
        units.check_number(options.kind, "units", label, first=0, last=classes - 1)
    return list(options.units) or list(range(min(options.count, classes)))


def _answers(subject: Subject, place: int | None) -> Callable[[Tensor], Tensor]:
    """What gives, of inputs, the sum before the nonlinearity of each class or each unit of a layer: (batch, units)."""
    if place is None:
        return lambda x: units.class_scores(subject, x)

    def sums(x: Tensor) -> Tensor:
        caught: list[Tensor] = []
        handle = subject.network.layers[place].register_forward_hook(lambda *passed: caught.append(passed[-1]))
        try:
            subject.network.logits(x)
        finally:
            handle.remove()
        maps = caught[0].reshape(*caught[0].shape[:2], *(caught[0].shape[2:] or (1, 1)))
        return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]

    return sums


def _seen(found: Found, compared: str) -> str:
    above = int((found.answers > found.best).sum())
    told = f"{above} of {len(found.names)} are answered to more than any of {compared}"
    if found.probabilities is None:
        return f"{told}."
    sure = int((found.probabilities > 0.99).sum())
    return f"{told}; {sure} are taken for their class with a probability above 0.99."


def _draw_images(subject: Subject, found: Found) -> Figure:
    """Images in rows, in places measured in inches, under each what it is for and what is said of it."""
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.images import as_shares, draw_image
    from nnpipe.plots.style import INK, MUTED, WIDTH, new_figure

    columns = min(COLUMNS, max(3, len(found.names)))
    side = WIDTH / columns - GAP
    row = side + TEXT
    height = row * ceil(len(found.names) / columns)
    figure = new_figure(height, layout=None)
    images = as_shares(subject, found.images)
    said = [f"{answer:.3g}" for answer in found.answers]
    if found.probabilities is not None:
        said = [f"{probability:.3f}" for probability in found.probabilities]
    for place, (name, image, share) in enumerate(zip(found.names, images, said, strict=True)):
        left, top = (place % columns + 0.5) * WIDTH / columns, row * (place // columns)
        box = ((left - side / 2) / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height)
        draw_image(figure.add_axes(box), image)
        words: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8.5}
        below = 1 - (top + side + 0.03) / height
        figure.text(left / WIDTH, below, shortened(name, 12), color=INK, **words)
        figure.text(left / WIDTH, below - 0.14 / height, share, color=MUTED, **words)
    return figure
