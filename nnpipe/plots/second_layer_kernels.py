"""The kernels of a second convolution: how each of its filters reads each feature map of the one below."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.plots.weights import Weights


class SecondLayerKernels(Picture):
    """A matrix of kernels: rows are filters, columns the channels that they read, strongest first in both."""

    kind: Literal["second_layer_kernels"] = "second_layer_kernels"
    needs: ClassVar[str] = "a conv2d layer that reads at least two feature maps of another"
    section: ClassVar[Section] = "weights"
    layer: int | None = Field(
        None, ge=0, description="Its place among the layers, from 0; left out: the first that reads feature maps."
    )
    filters: int = Field(16, ge=1, le=64, description="How many filters to show at most, the strongest first.")
    channels: int = Field(16, ge=1, le=64, description="How many channels to show at most, those most read first.")

    def applies(self, subject: Subject) -> bool:
        return self._found(subject) is not None

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots.tile_matrix import draw_tile_matrix, most_columns

        found = self._found(subject)
        assert found is not None
        kernels, below = found[0].weight.astype(np.float64), found[1]
        strength = np.sqrt(np.square(kernels).sum(axis=(2, 3)))  # (filters, channels)
        rows = np.argsort(-np.linalg.norm(strength, axis=1), kind="stable")[: self.filters]
        columns = np.argsort(-np.linalg.norm(strength, axis=0), kind="stable")
        columns = columns[: min(self.channels, most_columns(kernels.shape[3]))]
        grouped = found[0].layer.model_dump()["groups"] > 1
        head = None if below is None or grouped else below[columns]
        figure = draw_tile_matrix(
            kernels[np.ix_(rows, columns)],
            rows.tolist(),
            columns.tolist(),
            ("filter", "channel of its group" if grouped else "channel that it reads"),
            head,
        )
        count, depth, height, width = kernels.shape
        seen = _seen(strength, kernels)
        above = " Above each column stands the first layer's filter that makes this channel, on a scale of its own."
        return Drawing(
            title="Kernels of the second convolution" if below is not None else "Kernels of a deeper convolution",
            caption=f"Each row is one filter of a convolution (layers.{found[0].place} in the model's file), {depth} "
            f"channels deep; each square its {height} by {width} weights for one channel, red where they speak for "
            f"the filter, blue where against it, all on one scale. Shown are {_some(len(rows), count)} filters and "
            f"{_some(len(columns), depth)} channels, the strongest first, numbered from 0."
            f"{above * (head is not None)} {seen}",
            alt=f"A matrix of kernels of {height} by {width} weights, {len(rows)} filters by {len(columns)} channels, "
            f"red positive, blue negative. {seen}",
            figure=figure,
        )

    def _found(self, subject: Subject) -> tuple[Weights, np.ndarray | None] | None:
        """The convolution, and the filters that make its channels where these see the image; None without it."""
        from nnpipe.plots.weights import CHANNELS_STAY, weights_of

        layers = weights_of(subject)
        for number, each in enumerate(layers):
            wanted = number > 0 if self.layer is None else each.place == self.layer
            if wanted and each.layer.kind == "conv2d" and each.weight.shape[1] > 1:
                below = layers[0].weight if number == 1 and set(each.between) <= set(CHANNELS_STAY) else None
                return each, None if below is None or below.ndim != 4 else subject.receptive_fields(below)
        return None


def _some(shown: int, total: int) -> str:
    return f"{shown} of {total}" if shown < total else f"all {total}"


def _seen(strength: np.ndarray, kernels: np.ndarray) -> str:
    """What is to be said of all kernels, those that are not shown too."""
    import numpy as np

    share = np.sort(np.square(strength), axis=None)[::-1].cumsum()
    half = int((share < share[-1] / 2).sum()) + 1
    filter_, channel = np.unravel_index(strength.argmax(), strength.shape)
    return (
        f"Half of all squared weight lies in {half:,} of {strength.size:,} kernels, the most in that of filter "
        f"{filter_} for channel {channel}; {(kernels < 0).mean():.0%} of the weights are negative."
    )
