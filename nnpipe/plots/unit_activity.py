"""How active the units of each hidden layer are, and how many of them say nothing or the same of every example."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import units
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ENOUGH = 200_000  # values of a layer from which quantiles are told: the maps of a convolution have millions
MOST_TOLD, MOST_NUMBERED = 6, 15  # layers in the caption, numbers on the axis


class UnitActivity(Picture):
    """Quantiles of activations layer by layer, and shares of dead units and of saturated values.

    As Glorot & Bengio 2010, section 3, look at them during training: the measures are those of the report's table.
    """

    kind: Literal["unit_activity"] = "unit_activity"
    needs: ClassVar[str] = "a hidden layer of units with a nonlinearity"
    section: ClassVar[Section] = "activations"
    examples: int = Field(500, ge=1, le=10_000, description="How many test examples to look at, drawn from all.")

    def applies(self, subject: Subject) -> bool:
        return len(subject.inputs) > 0 and bool(_layers(subject))

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        layers = _measured(subject, self.examples)
        shares = [name for name in ("saturated", "dead", "zero") if any(name in layer.shares for layer in layers)]
        figure = new_figure(4.4 if shares else 2.6)
        panels = figure.subplots(
            2 if shares else 1, sharex=True, squeeze=False, height_ratios=[3, 2][: 1 + bool(shares)]
        )
        _draw_quantiles(panels[0, 0], layers)
        if shares:
            _draw_shares(panels[1, 0], layers, shares)
        panels[-1, 0].set_xlabel("layer, from the input")
        seen = " ".join(_seen(layer) for layer in _told(layers))
        return Drawing(
            title="Activity of the units",
            caption=f"What the units of each hidden layer say of {units.looked_at(subject, self.examples)}: half of "
            "all values lie in the dark box, nine tenths in the light one, the black line is the median."
            f"{_how_to_read(shares)} {seen}",
            alt=f"Boxes of the activations of {len(layers)} hidden layers. {seen}",
            figure=figure,
            plot=True,
        )


class Measured(NamedTuple):
    """A layer: its ``number`` from 1, how many ``units`` it has, QUANTILES of its values, and shares by name.

    saturated, zero: of values. dead: of units that give 0 for every example.
    """

    number: int
    units: int
    quantiles: Sequence[float]
    shares: dict[str, float]


def _layers(subject: Subject) -> list[int]:
    layers = subject.document["architecture"]["layers"]
    return [place for place in units.hidden(subject) if layers[place]["activation"] != "linear"]


def _measured(subject: Subject, examples: int) -> list[Measured]:
    import torch

    from nnpipe.training.inspection import RECTIFIED, spread

    places = _layers(subject)
    with torch.inference_mode():
        batches = [
            [values[place] for place in places]
            for x in units.asked(subject, units.some(subject, examples))
            for values in [subject.network.activations(x)]
        ]
    found = []
    for place, parts in zip(places, zip(*batches, strict=True), strict=True):
        values, activation = torch.cat(parts), subject.document["architecture"]["layers"][place]["activation"]
        shares = {name: share for name, share in spread(activation, values).items() if name in ("saturated", "dead")}
        if activation in RECTIFIED:
            shares["zero"] = float((values == 0).float().mean())
        found.append(Measured(place + 1, values.shape[1], _quantiles(values), shares))
    return found


def _quantiles(values: Tensor) -> list[float]:
    import numpy as np

    flat = values.flatten()
    # A step that shares no factor with the sizes of layers, so that every unit has its turn.
    step = max(1, len(flat) // ENOUGH) | 1
    return [float(value) for value in np.quantile(flat[::step].numpy(), QUANTILES)]


def _draw_quantiles(axes: Axes, layers: Sequence[Measured]) -> None:
    from nnpipe.plots.style import BLUE, INK, SKY, tell

    for at, layer in enumerate(layers):
        least, lower, median, upper, most = layer.quantiles
        axes.bar(at, most - least, 0.22, least, color=SKY, alpha=0.45, linewidth=0)
        axes.bar(at, upper - lower, 0.4, lower, color=BLUE, alpha=0.75, linewidth=0)
        axes.plot([at - 0.2, at + 0.2], [median, median], color=INK, solid_capstyle="butt")
    axes.use_sticky_edges = False
    axes.set_title("Activations")
    every = ceil(len(layers) / MOST_NUMBERED)
    axes.set_xticks(range(0, len(layers), every), [str(layer.number) for layer in layers[::every]])
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.grid(visible=False, axis="x")
    told = (
        "layer {}: median {:.3g}, half from {:.3g} to {:.3g}".format(layer.number, *_half(layer)) for layer in layers
    )
    tell(axes, range(len(layers)), [layer.quantiles[2] for layer in layers], told)


def _half(layer: Measured) -> tuple[float, float, float]:
    return layer.quantiles[2], layer.quantiles[1], layer.quantiles[3]


def _draw_shares(axes: Axes, layers: Sequence[Measured], names: Sequence[str]) -> None:
    from matplotlib.ticker import PercentFormatter

    from nnpipe.plots.style import FAINT, MUTED, ORANGE, VERMILLION, tell

    looks = {
        "saturated": ("values at a flat end", ORANGE),
        "dead": ("units that never answer", VERMILLION),
        "zero": ("values that are zero", FAINT),
    }
    width = 0.25
    for turn, name in enumerate(names):
        label, colour = looks[name]
        having = [(at, layer) for at, layer in enumerate(layers) if name in layer.shares]
        places = [at + (turn - (len(names) - 1) / 2) * width for at, _ in having]
        heights = [layer.shares[name] for _, layer in having]
        axes.bar(places, heights, width * 0.9, color=colour, label=label, edgecolor=MUTED, linewidth=0.4)
        numbers = [layer.number for _, layer in having]
        told = (f"layer {number}, {label}: {share:.1%}" for number, share in zip(numbers, heights, strict=True))
        tell(axes, places, heights, told)
    axes.set_title("Shares" if len(names) > 1 else f"Share of {looks[names[0]][0]}")
    highest = max(share for layer in layers for share in layer.shares.values())
    axes.set_ylim(0, min(1, max(0.1, 1.15 * highest)))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(visible=False, axis="x")
    if len(names) > 1:
        axes.figure.legend(loc="outside lower left", ncols=2, handlelength=1)


def _how_to_read(shares: Sequence[str]) -> str:
    told = {
        "saturated": " A value is at a flat end of its nonlinearity when it is within a twentieth of the range of "
        "it: there a unit hardly learns.",
        "dead": " A unit that gives 0 for every example does not learn at all.",
    }
    return "".join(told[name] for name in shares if name in told)


def _told(layers: Sequence[Measured]) -> Sequence[Measured]:
    """The layers that the caption speaks of: all, or of many the first, the middle and the last one."""
    return layers if len(layers) <= MOST_TOLD else [layers[0], layers[len(layers) // 2], layers[-1]]


def _seen(layer: Measured) -> str:
    """Counts of a layer's units and values."""
    if "dead" in layer.shares:
        dead = round(layer.shares["dead"] * layer.units)
        some = f"{dead:,} of {layer.units:,} units never {'answers' if dead == 1 else 'answer'}"
        told = f"{some if dead else f'all {layer.units:,} units answer to some example'} and "
        told += f"{layer.shares['zero']:.0%} of the values are zero"
    elif "saturated" in layer.shares:
        told = f"{layer.shares['saturated']:.0%} of the values are at a flat end"
    else:
        least, *_, most = layer.quantiles
        told = f"nine tenths of the values lie between {least:.3g} and {most:.3g}"
    return f"Layer {layer.number}: {told}."
