"""What each layer's pretraining measured, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots import words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a record, what is no measure of how well the layer does.
CIRCUMSTANCES = frozenset({"epoch", "seconds", "examples", "learning_rate", "momentum"})


class PretrainingCurves(Picture):
    """Every measure of pretraining in a panel of its own, every layer a line of its own; one more for all together."""

    kind: Literal["pretraining_curves"] = "pretraining_curves"
    needs: ClassVar[str] = "at least one pretrained layer with a history"
    section: ClassVar[Section] = "pretraining"

    def applies(self, subject: Subject) -> bool:
        return bool(_measures(subject))

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        measures = _measures(subject)
        figure = new_figure(0.3 + 2.1 * len(measures))
        panels = figure.subplots(len(measures), sharex=True, squeeze=False)[:, 0]
        for axes, measure in zip(panels, measures, strict=True):
            _draw_panel(axes, subject, measure)
        panels[-1].set_xlabel("epoch")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
        names = ", ".join(map(words.kind, measures))
        seen = " ".join(_seen(name, history, measures) for name, history in _histories(subject).items())
        return Drawing(
            title="Pretraining curves",
            caption=f"What each layer's pretraining measured after each epoch{_without_labels(subject)}: "
            f"{_lines(subject)}. "
            f"Layers see inputs of different sizes, so compare the shapes of the lines, not their heights. {seen}",
            alt=f"Curves of {names} of {len(subject.pretrained)} pretrained layers. {seen}",
            figure=figure,
            plot=True,
        )


def _histories(subject: Subject) -> dict[str, Sequence[Mapping[str, float]]]:
    """What learned -> its records: each layer alone, then all together, if they did."""
    found = {f"layer {number}": layer.history for number, layer in enumerate(subject.pretrained, start=1)}
    return {**found, "together": subject.joint_history} if subject.joint_history else found


def _measures(subject: Subject) -> list[str]:
    """The measures of any layer, in the order they are recorded; some are of unseen examples alone."""
    names = [name for history in _histories(subject).values() for record in history[:1] for name in record]
    return [name for name in dict.fromkeys(name.removeprefix("val_") for name in names) if name not in CIRCUMSTANCES]


def _draw_panel(axes: Axes, subject: Subject, measure: str) -> None:
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import A_LINE, SERIES, tell

    for number, (name, history) in enumerate(_histories(subject).items()):
        colour = SERIES[number % len(SERIES)]
        mark = "o" if len(history) <= 30 else ""
        for key, line in ((measure, "-"), (f"val_{measure}", ":")):
            records = [record for record in history if key in record]
            label = name if key == measure else None
            epochs, values = [record["epoch"] for record in records], [record[key] for record in records]
            axes.plot(epochs, values, line, color=colour, marker=mark, markersize=3, label=label)
            told = (f"{name}, epoch {epoch}: {value:.4g}" for epoch, value in zip(epochs, values, strict=True))
            tell(axes, epochs, values, told, A_LINE)
    axes.set_title(words.kind(measure).capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.margins(y=0.12)


def _without_labels(subject: Subject) -> str:
    return "" if any(layer.summary.get("labels") for layer in subject.pretrained) else ", without labels"


def _lines(subject: Subject) -> str:
    unseen = any(name.startswith("val_") for layer in subject.pretrained for name in layer.history[0])
    full = "full lines on the examples learnt from"
    return f"{full}, dotted lines on the {subject.watched} examples" if unseen else full


def _seen(name: str, history: Sequence[Mapping[str, float]], measures: Sequence[str]) -> str:
    first, last = history[0], history[-1]
    there = [measure for measure in measures if measure in first]
    changes = [f"{words.kind(each)} from {first[each]:.4g} to {last[each]:.4g}" for each in there]
    return f"{name.capitalize()}: {words.joined(changes)} in {len(history)} epochs."
