"""What an autoencoder gives back of some test images, beside as many principal components as its code has units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

TITLE, LABEL, GAP = 0.26, 0.04, 0.05  # inches: a row's title, what is left of images, what is between them


class AutoencoderReconstructions(Picture):
    """Test images of different classes in a row, below them what the network and what the components make of them."""

    kind: Literal["autoencoder_reconstructions"] = "autoencoder_reconstructions"
    needs: ClassVar[str] = "an unrolled network, and images of one or three channels"
    section: ClassVar[Section] = "results"
    count: int = Field(10, ge=1, le=20, description="How many images to show at most.")

    def applies(self, subject: Subject) -> bool:
        return subject.code is not None and subject.image_shape is not None and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        chosen = _chosen(subject, self.count)
        inputs, outputs = _given_back(subject, chosen)
        rows = [("Test images", inputs), (f"Given back through {subject.predictions.shape[1]} numbers", outputs)]
        told = [f"{np.square(outputs - inputs).sum(axis=1).mean():.3g} for the network"]
        if subject.components:
            mean, directions = subject.components["mean"], subject.components["directions"]
            kept = (inputs - mean) @ directions.T @ directions + mean
            rows.append((f"By {len(directions)} principal components", kept))
            told.append(f"{np.square(kept - inputs).sum(axis=1).mean():.3g} for the components")
        seen = f"Of the images shown the squared error is {' and '.join(told)}, summed over pixels."
        below = " and, last, what is left of them in as many principal components, the best that a linear code can do"
        return Drawing(
            title="What the autoencoder gives back",
            caption="Above, test images; below each what the network gives back of it when all it is told is the code"
            f"{below if subject.components else ''}. What is missing or smoothed below is what the code does not hold. "
            f"{seen}",
            alt=f"{len(chosen)} test images and what is given back of them, in {len(rows)} rows. {seen}",
            figure=_draw_rows(subject, rows),
        )


def _chosen(subject: Subject, count: int) -> list[int]:
    """The first test image of each class in turn, then the second of each; without classes the first images."""
    import numpy as np

    if not subject.label_names:
        return list(range(min(count, len(subject.inputs))))
    each = [np.flatnonzero(subject.truth == label) for label in range(len(subject.label_names))]
    rounds = [[int(places[turn]) for places in each if turn < len(places)] for turn in range(count)]
    return [place for found in rounds for place in found][:count]


def _given_back(subject: Subject, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The chosen inputs and what the network makes of them, both (n, features) in the network's scale."""
    import torch

    network = subject.network
    inputs = network.scaling.apply(subject.inputs[chosen])
    with torch.inference_mode():
        outputs = network(torch.from_numpy(inputs)).numpy()
    return inputs.reshape(len(inputs), -1), outputs


def _draw_rows(subject: Subject, rows: list[tuple[str, np.ndarray]]) -> Figure:
    from nnpipe.plots.style import INK, WIDTH, bare, new_figure

    shape = subject.image_shape
    assert shape is not None
    count = len(rows[0][1])
    width = min(0.8, (WIDTH - 2 * LABEL + GAP) / count - GAP)
    tall = width * shape[1] / shape[2]
    height = len(rows) * (TITLE + tall + 2 * GAP)
    figure = new_figure(height, layout=None)
    low, high = float(rows[0][1].min()), float(rows[0][1].max())
    for number, (title, images) in enumerate(rows):
        top = height - number * (TITLE + tall + 2 * GAP)
        figure.text(LABEL / WIDTH, (top - 0.06) / height, title, va="top", fontsize=9, color=INK)
        for place, image in enumerate(images.reshape(count, *shape)):
            left, bottom = LABEL + place * (width + GAP), top - TITLE - tall
            axes = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, tall / height))
            bare(axes)
            shares = ((image - low) / ((high - low) or 1)).clip(0, 1)
            pixels = shares[0] if len(shares) == 1 else shares.transpose(1, 2, 0)
            axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    return figure
