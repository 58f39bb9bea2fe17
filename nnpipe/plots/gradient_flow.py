"""How the gradient goes from the last layer to the first, and how large it is in each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Inside = Sequence[Mapping[str, Mapping[str, float]]]


class GradientFlow(Picture):
    """The length of each layer's gradient, layer by layer and epoch by epoch (Glorot & Bengio 2010, figure 7)."""

    kind: Literal["gradient_flow"] = "gradient_flow"
    needs: ClassVar[str] = "at least two layers with weights"
    section: ClassVar[Section] = "training"

    def applies(self, subject: Subject) -> bool:
        inside = subject.history.get("inside") or [{}]
        return len(_layers(inside)) > 1

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        inside: Inside = subject.history["inside"]
        trained = len(inside) > 1
        figure = new_figure(4.6 if trained else 2.4)
        panels = figure.subplots(2 if trained else 1, squeeze=False)[:, 0]
        _draw_layers(panels[0], inside)
        if trained:
            _draw_epochs(panels[1], inside)
        seen = _seen(inside)
        epochs = (
            " Below, the same for each layer after every epoch: lines that keep together learn at one pace." * trained
        )
        return Drawing(
            title="Gradient by layer",
            caption="The length of the loss's gradient with respect to each layer's weights, on a logarithmic scale. "
            "Where the line falls towards the first layers, they learn next to nothing: the gradient vanishes."
            + epochs
            # What is seen comes last, after how to read it.
            + f" {seen}",
            alt=f"Gradient lengths of {len(_layers(inside))} layers. {seen}",
            figure=figure,
            plot=True,
        )


def _layers(inside: Inside) -> list[str]:
    """The layers that have a gradient, from the first."""
    return [layer for layer, measures in inside[0].items() if "gradient_norm" in measures]


def _norms(inside: Inside, epoch: int) -> list[float]:
    return [inside[epoch][layer]["gradient_norm"] for layer in _layers(inside)]


def _draw_layers(axes: Axes, inside: Inside) -> None:
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import A_LINE, BLUE, VERMILLION, logarithmic, tell

    numbers = range(1, len(_layers(inside)) + 1)
    lines = [(0, "-", BLUE, "before training"), (-1, "--", VERMILLION, "at the end")]
    for epoch, line, colour, label in lines[: len(inside)]:
        norms = _norms(inside, epoch)
        axes.plot(numbers, norms, f"o{line}", color=colour, markersize=4, label=label)
        told = (f"layer {number}, {label}: {norm:.3g}" for number, norm in zip(numbers, norms, strict=True))
        tell(axes, numbers, norms, told, A_LINE)
    if len(inside) > 1:
        axes.legend()
    logarithmic(axes.yaxis)
    axes.set_title("Length of the gradient, layer by layer")
    axes.set_xlabel("layer with weights, from the input")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))


def _draw_epochs(axes: Axes, inside: Inside) -> None:
    import matplotlib as mpl
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import A_LINE, SERIES, logarithmic, tell

    layers = _layers(inside)
    few, scale = len(layers) <= len(SERIES), mpl.colormaps["viridis"]
    for number, layer in enumerate(layers, start=1):
        values = [epoch[layer]["gradient_norm"] for epoch in inside]
        label = str(number) if few or number in (1, len(layers)) else None
        colour = SERIES[number - 1] if few else scale(0.9 * (number - 1) / (len(layers) - 1))
        axes.plot(range(len(inside)), values, color=colour, label=label)
        told = (f"layer {number}, epoch {epoch}: {norm:.3g}" for epoch, norm in enumerate(values))
        tell(axes, range(len(inside)), values, told, A_LINE if few else 2)
    logarithmic(axes.yaxis)
    axes.set_title("Length of the gradient, epoch by epoch")
    axes.set_xlabel("epoch; 0: before training")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.legend(title="layer", title_fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1.05), handlelength=1.2)


def _seen(inside: Inside) -> str:
    first, *_, last = _norms(inside, 0)
    if not (first > 0 and last > 0):
        return "Before training some layers get no gradient at all."
    if max(first, last) < 3 * min(first, last):
        return f"Before training the first layer's is {first:.2g} and the last one's {last:.2g}: of one order."
    ratio, which = (last / first, "smaller") if first < last else (first / last, "larger")
    return f"Before training the first layer's is {ratio:.2g} times {which} than the last one's."
