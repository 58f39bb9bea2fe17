"""The landscape of the loss around the trained network, and on the straight way to it from the first weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from nnpipe.plots.weight_space import WeightSpace

MOST_EXAMPLES = 100
LINE_STEPS, LINE_END = 21, 1.25  # points on the way, and how far it goes, of the way to the trained weights
DEEPEST = 1e-4  # of the largest loss: what is lower has the colour of this
DARK = 0.6  # of the scale of colours: from there on lines and numbers are white
INSIDE = 0.88  # of the way to an edge: a number farther out would be cut off


class ErrorSurface(Picture):
    """Contours of the loss over two random directions of weight space, and the loss along the way that was travelled.

    Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets"; Goodfellow, Vinyals & Saxe 2015, "Qualitatively
    characterizing neural network optimization problems".
    """

    kind: Literal["error_surface"] = "error_surface"
    needs: ClassVar[str] = "a network that was trained for at least one epoch"
    section: ClassVar[Section] = "training"
    steps: int = Field(13, ge=5, le=101, description="Points of the grid along each direction.")
    reach: float = Field(1.0, gt=0, le=10, description="How far the grid goes; 1: as far as weights are long.")
    examples: int = Field(MOST_EXAMPLES, ge=1, description="Test examples to take the loss of, at most.")
    seed: int = Field(0, ge=0, description="Of the directions.")

    def applies(self, subject: Subject) -> bool:
        return subject.loss is not None and bool(subject.history["records"]) and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        from nnpipe.plots.style import new_figure
        from nnpipe.plots.weight_space import filter_normalised
        from nnpipe.training.seeds import generator

        passes = self.steps**2 + LINE_STEPS
        space, count = _space(subject, passes, self.examples)
        right, up = (filter_normalised(space.trained, generator(self.seed, number)) for number in (0, 1))
        steps = np.linspace(-self.reach, self.reach, self.steps)
        surface = space.over(right, up, steps.tolist())
        way = _way(subject, space)
        figure = new_figure(4.3 if way is None else 6.4)
        panels = figure.subplots(1 if way is None else 2, squeeze=False, height_ratios=(2, 1)[: 1 + (way is not None)])
        draw_surface(panels[0, 0], steps, surface)
        if way is not None:
            _draw_way(panels[1, 0], *way)
        seen = " ".join([_surface_seen(surface, space), *([] if way is None else [_way_seen(*way)])])
        return Drawing(
            title="Error surface",
            caption=f"The loss of {count} test examples, always the same, without penalties, at weights around the "
            "trained ones (the cross). Along each axis weights change by random numbers, scaled unit by unit: at 1 by "
            "as much as they are long, so that networks can be compared. Lines join weights of the same loss; where "
            f"they are far apart the valley is flat.{_how_to_read_way(way is not None)} {seen}",
            alt=f"Contours of the loss around the trained network. {seen}",
            figure=figure,
            plot=True,
        )


def _space(subject: Subject, passes: int, most: int) -> tuple[WeightSpace, int]:
    """The space around the trained network, and of how many examples the loss is."""
    import torch

    from nnpipe.plots.effort import affordable
    from nnpipe.plots.weight_space import WeightSpace, answers

    assert subject.loss is not None
    network, places = subject.network, affordable(subject, passes, most)
    x = torch.from_numpy(network.scaling.apply(subject.inputs[places]))
    return WeightSpace(network, subject.loss, x, answers(subject, places, x)), len(places)


def _way(subject: Subject, space: WeightSpace) -> tuple[np.ndarray, np.ndarray] | None:
    """Shares of the way from the first to the trained weights, and the loss there.

    None where the first are not known, or where more than weights changed: what batch normalisation counted of the
    last weights' activations is not true of others.
    """
    import numpy as np
    import torch

    if subject.first is None or any(buffer.is_floating_point() for buffer in subject.network.buffers()):
        return None
    first = {name: torch.from_numpy(subject.first[name]) for name in space.trained}
    shares = np.linspace(0, LINE_END, LINE_STEPS)
    return shares, space.along(first, shares.tolist())


def draw_surface(axes: Axes, steps: np.ndarray, surface: np.ndarray) -> None:
    """Draw the losses ``surface``, (steps upwards, steps across), as a map with lines of equal loss."""
    import numpy as np

    from nnpipe.plots.style import INK, SEQUENTIAL, tell

    finite = surface[np.isfinite(surface)]
    highest = float(finite.max(initial=0)) or 1.0
    lowest = max(float(finite.min(initial=highest)), DEEPEST * highest)
    logs = np.log10(np.clip(surface, lowest, highest))
    ends = np.log10(lowest), np.log10(highest)
    levels = np.linspace(*ends, 13) if ends[1] > ends[0] else np.linspace(ends[0] - 1, ends[0] + 1, 3)
    levels[0], levels[-1] = levels[0] - 1e-9, levels[-1] + 1e-9
    axes.contourf(steps, steps, logs, levels=levels, cmap=SEQUENTIAL)
    drawn = np.arange(len(levels))[1:-1:2]
    inks = ["white" if place > DARK * (len(levels) - 1) else INK for place in drawn]
    lines = axes.contour(steps, steps, logs, levels=levels[drawn], colors=inks, linewidths=0.7, linestyles="solid")
    for label in axes.clabel(lines, fmt=lambda level: f"{10**level:.2g}", fontsize=7.5):
        if max(map(abs, label.get_position())) > INSIDE * steps[-1]:
            label.remove()
    axes.plot([0], [0], "+", color=INK, markersize=9, markeredgewidth=1.8)
    axes.grid(visible=False)
    axes.set_title("Loss around the trained network")
    axes.set_xlabel("along one random direction")
    axes.set_ylabel("along another")
    places = range(0, len(steps), max(1, len(steps) // 6))
    points = [(steps[column], steps[row], surface[row, column]) for row in places for column in places]
    words = (f"{across:+.2g} one way, {along:+.2g} the other: loss {value:.3g}" for across, along, value in points)
    tell(axes, [point[0] for point in points], [point[1] for point in points], words)
    ticks = [steps[0] / 2, 0, steps[-1] / 2]
    axes.set(xlim=(steps[0], steps[-1]), ylim=(steps[0], steps[-1]), xticks=ticks, yticks=ticks)


def _draw_way(axes: Axes, shares: np.ndarray, losses: np.ndarray) -> None:
    from nnpipe.plots.style import BLUE, MUTED, tell

    axes.plot(shares, losses, "o-", color=BLUE, markersize=3)
    told = (f"{share:.0%} of the way: loss {loss:.4g}" for share, loss in zip(shares, losses, strict=True))
    tell(axes, shares, losses, told)
    axes.axvline(1, color=MUTED, linewidth=0.9, linestyle=":", zorder=0.5)
    axes.set_title("Loss on the straight way from the first weights")
    axes.set_xticks([0, 0.5, 1], labels=["first weights", "half way", "trained"])
    axes.margins(y=0.12)


def _how_to_read_way(drawn: bool) -> str:
    return (
        " Below, the loss at weights on the straight line from the first to the trained ones and a quarter beyond: a "
        "line without a hill between the two had nothing in the way of a straight descent." * drawn
    )


def _surface_seen(surface: np.ndarray, space: WeightSpace) -> str:
    import numpy as np

    edge = np.concatenate([surface[[0, -1]].ravel(), surface[1:-1, [0, -1]].ravel()])
    trained = space.loss(space.trained)
    lower = int((surface < trained).sum())
    least = "nowhere shown is it lower" if lower == 0 else f"at {lower} of {surface.size} points shown it is lower"
    around = f"{edge.min():.3g} to {edge.max():.3g} at the edge"
    return f"The loss is {trained:.3g} at the trained weights and {around}; {least}."


def _way_seen(shares: np.ndarray, losses: np.ndarray) -> str:
    import numpy as np

    between = losses[: int(np.searchsorted(shares, 1, side="right"))]
    climbs = np.maximum.accumulate(between[::-1])[::-1] - between  # how far one still has to climb from each point
    told = f"From the first weights, {between[0]:.3g}, to the trained ones, {between[-1]:.3g}, the loss"
    if climbs.max() <= 0.01 * (between.max() - between.min()):
        return f"{told} falls all the way."
    return f"{told} has to climb by {climbs.max():.3g} on its way."
