"""How well classes can be read from what each pretrained layer makes of the data."""

from __future__ import annotations

from typing import ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

LINES = {"linear_accuracy": "linear probe", "neighbour_accuracy": "nearest neighbours"}


class Probes(Picture):
    """Accuracy of both probes on the test examples, layer by layer, from the input on."""

    kind: Literal["probes"] = "probes"
    needs: ClassVar[str] = "a spec that asks for probes"
    section: ClassVar[Section] = "pretraining"

    def applies(self, subject: Subject) -> bool:
        return bool(subject.probes)

    def draw(self, subject: Subject) -> Drawing:
        from matplotlib.ticker import PercentFormatter

        from nnpipe.plots.style import SERIES, new_figure, tell

        figure = new_figure(3.0)
        axes = figure.add_subplot()
        places = range(len(subject.probes))
        for (key, label), colour, mark in zip(LINES.items(), SERIES, ("o", "s"), strict=False):
            values = [probe[key] for probe in subject.probes]
            axes.plot(places, values, color=colour, marker=mark, markersize=4, label=label)
            told = (f"{_place(place)}, {label}: {value:.2%}" for place, value in enumerate(values))
            tell(axes, places, values, told)
        axes.set_xticks(places, [_place(place) for place in places])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.set_ylabel("test accuracy")
        axes.margins(x=0.06, y=0.15)
        figure.legend(loc="outside upper right", ncols=2)
        first = subject.probes[0]
        seen = " ".join(_seen(label, [probe[key] for probe in subject.probes]) for key, label in LINES.items())
        return Drawing(
            title="Probes",
            caption="What was learnt without labels, asked with labels: a linear classifier, and a vote of the "
            f"{first['neighbours']} nearest of {first['examples']:,} labelled training examples, both on what a layer "
            "gives, with nothing below it changed. A line that climbs says that the layer made classes easier to read; "
            f"one that falls, that it threw away what tells them apart. {seen}",
            alt=f"Accuracy of two probes from the input to layer {len(subject.probes) - 1}. {seen}",
            figure=figure,
            plot=True,
        )


def _place(place: int) -> str:
    return f"layer {place}" if place else "input"


def _seen(label: str, values: list[float]) -> str:
    changes = [f"{value:.2%} after layer {number}" for number, value in enumerate(values[1:], start=1)]
    return f"{label.capitalize()}: {', '.join([f'{values[0]:.2%} of the input', *changes])}."
