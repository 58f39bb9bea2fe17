"""A film of learning: the first pretrained layer's filters from before the first epoch to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.figure import Figure

ALIKE = 0.9  # the cosine between the weights of two frames that look the same
HEAD, FOOT = 0.3, 0.45  # inches for the epoch above the filters, and for the colours below


class FilterFilm(Picture):
    """Filters as pretraining forms them, a frame an epoch, all frames on one colour scale."""

    kind: Literal["filter_film"] = "filter_film"
    needs: ClassVar[str] = "a pretrained first layer that sees images of one or three channels, and its snapshots"
    section: ClassVar[Section] = "weights"
    count: int = Field(16, ge=1, le=36, description="How many filters to show at most, those of the first units.")
    frames: int = Field(10, ge=2, le=20, description="How many epochs to show at most; the first ones come closest.")

    def applies(self, subject: Subject) -> bool:
        first = next(iter(subject.pretrained), None)
        return first is not None and first.snapshots is not None and len(first.snapshots["epoch"]) > 1

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        first = subject.pretrained[0]
        assert first.snapshots is not None
        chosen = np.linspace(0, len(first.snapshots["epoch"]) - 1, self.frames).round().astype(int)
        chosen = np.unique(chosen)
        epochs = first.snapshots["epoch"][chosen].tolist()
        weights = first.snapshots["weight"][chosen, : self.count].astype(np.float64)
        filters = [subject.receptive_fields(weight) for weight in weights]
        film = _draw_film([each for each in filters if each is not None], epochs, len(first.history))
        units, total = weights.shape[1], len(first.tensors["weight"])
        which = f"the first {units} of {total} units" if units < total else f"all {total} units"
        seen = _seen(weights, epochs)
        return Drawing(
            title="Filters while they are learned",
            caption=f"A film: the first layer's filters before pretraining ({first.summary['method']}) and after some "
            f"of its epochs, closer together at first. Shown are {which}, on one colour scale for all frames: red "
            f"weights speak for the unit, blue ones against it. {seen}",
            alt=f"A film of {len(film)} frames of a grid of {units} filters. {seen}",
            figure=film[-1],
            film=film[:-1],
        )


def _seen(weights: np.ndarray, epochs: Sequence[int]) -> str:
    """How the weights grew, and when most of what is seen was there already. weights: (looks, units, inputs...)."""
    import numpy as np

    flat = weights.reshape(len(weights), -1)
    norms = np.linalg.norm(weights.reshape(*weights.shape[:2], -1), axis=2).mean(axis=1)
    alike = flat @ flat[-1] / np.maximum(np.linalg.norm(flat, axis=1) * np.linalg.norm(flat[-1]), 1e-30)
    known = next(epoch for epoch, cosine in zip(epochs, alike, strict=True) if cosine >= ALIKE or epoch == epochs[-1])
    return (
        f"Their mean norm goes from {norms[0]:.3g} to {norms[-1]:.3g}; from epoch {known} on, the frames are like the "
        f"last one (a cosine of {ALIKE} or more)."
    )


def _draw_film(filters: Sequence[np.ndarray], epochs: Sequence[int], last: int) -> list[Figure]:
    import numpy as np

    from nnpipe.plots.mosaic import end_of_scale

    limit = end_of_scale(np.stack(filters))
    return [_draw_frame(each, limit, f"epoch {epoch} of {last}") for each, epoch in zip(filters, epochs, strict=True)]


def _draw_frame(filters: np.ndarray, limit: float, words: str) -> Figure:
    from nnpipe.plots import style
    from nnpipe.plots.mosaic import colour_bar, columns_for, grid_size, show_filters

    columns = columns_for(len(filters))
    height, width = grid_size(filters.shape, columns)
    high = style.WIDTH * height / width
    whole = high + HEAD + FOOT
    figure = style.new_figure(whole, layout=None)  # every frame is laid out alike
    figure.text(0.01, 1 - HEAD / 2 / whole, words, va="center", color=style.INK)
    image = show_filters(figure.add_axes((0, FOOT / whole, 1, high / whole)), filters, columns, limit)
    if filters.shape[1] == 1:
        colour_bar(figure, image, limit, axes=figure.add_axes((0.15, 0.3 / whole, 0.7, 0.08 / whole)))
    return figure
