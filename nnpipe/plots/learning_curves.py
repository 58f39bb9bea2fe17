"""Loss, and accuracy or error, after each epoch of training with labels, numbers or inputs to give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from nnpipe.plots import words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject
from nnpipe.training.history import REASONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Records = Sequence[Mapping[str, float]]
MEASURES = ("loss", "accuracy", "mean_absolute_error", "squared_error")


class Marked(NamedTuple):
    """Epochs to be marked. kept: the one whose weights the network has, where it is not the last."""

    best: int | None
    kept: int | None


class LearningCurves(Picture):
    """How the loss and the measure beside it went, on the examples learnt from and on those that were not."""

    kind: Literal["learning_curves"] = "learning_curves"
    needs: ClassVar[str] = "a history with at least one epoch"
    section: ClassVar[Section] = "training"

    def applies(self, subject: Subject) -> bool:
        return bool(subject.history["records"])

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        records: Records = subject.history["records"]
        measures = [name for name in MEASURES if name in records[0]]
        marked = Marked(subject.history.get("best_epoch"), _kept(subject))
        changing = len({record.get("learning_rate") for record in records}) > 1
        shares = [2.1] * len(measures) + [1.3] * changing
        figure = new_figure(0.3 + sum(shares))
        panels = figure.subplots(len(shares), sharex=True, squeeze=False, height_ratios=shares)[:, 0]
        for axes, measure in zip(panels, measures, strict=False):
            _draw_panel(axes, records, measure, subject.watched, marked)
        if changing:
            _draw_learning_rate(panels[-1], records)
        panels[-1].set_xlabel("epoch")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, columnspacing=1.2)
        reached = _reached(records, subject.watched, marked.best)
        rate = " Last, the learning rate, which changed." * changing
        return Drawing(
            title="Learning curves",
            caption=f"{_how_to_read(records, measures, subject.watched)}{rate} {reached}{_gap(records)}"
            f"{_ended(subject, marked.kept)}",
            alt=f"Curves of {' and '.join(map(words.kind, measures))} over {len(records)} epochs. {reached}",
            figure=figure,
            plot=True,
        )


def _kept(subject: Subject) -> int | None:
    """The epoch whose weights the network has, where it is not the last."""
    kept = subject.history.get("kept_epoch")
    return kept if kept and kept != subject.history["records"][-1]["epoch"] else None


def _draw_panel(axes: Axes, records: Records, measure: str, watched: str, marked: Marked) -> None:
    from matplotlib.ticker import MaxNLocator

    from nnpipe.plots.style import A_LINE, BLUE, INK, MUTED, VERMILLION, tell

    epochs = [record["epoch"] for record in records]
    mark = "o" if len(records) <= 30 else ""
    for key, colour, line, label in (
        (measure, BLUE, "--", "train"),
        (f"val_{measure}", VERMILLION, "-", watched),
    ):
        if key in records[0]:
            values = [record[key] for record in records]
            axes.plot(epochs, values, line, color=colour, marker=mark, markersize=3, label=label)
            told = (f"epoch {epoch}, {label}: {value:.4g}" for epoch, value in zip(epochs, values, strict=True))
            tell(axes, epochs, values, told, A_LINE)
    axes.set_title(words.kind(measure).capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for epoch, mark, size, label in ((marked.best, "o", 7, "best epoch"), (marked.kept, "s", 10, "kept")):
        if epoch is not None:
            axes.axvline(epoch, color=MUTED, linewidth=0.9, linestyle=":", zorder=0.5)
            value = _record(records, epoch).get(f"val_{measure}", _record(records, epoch)[measure])
            axes.plot([epoch], [value], mark, markersize=size, mfc="none", markeredgecolor=INK, label=label)
    axes.margins(y=0.12)


def _draw_learning_rate(axes: Axes, records: Records) -> None:
    from nnpipe.plots.style import A_LINE, GREEN, logarithmic, tell

    records = [record for record in records if "learning_rate" in record]
    epochs, rates = [record["epoch"] for record in records], [record["learning_rate"] for record in records]
    axes.plot(epochs, rates, color=GREEN, drawstyle="steps-mid")
    told = (f"epoch {epoch}: learning rate {rate:.3g}" for epoch, rate in zip(epochs, rates, strict=True))
    tell(axes, epochs, rates, told, A_LINE)
    axes.set_title("Learning rate")
    if min(rates) > 0 and max(rates) > 20 * min(rates):
        logarithmic(axes.yaxis)
    axes.margins(y=0.12)


def _how_to_read(records: Records, measures: Sequence[str], watched: str) -> str:
    names = " and ".join(map(words.kind, measures))
    unseen = "val_loss" in records[0]
    compared = (
        f"the dashed line on the examples learnt from, the full line on the {watched} examples, which are not learnt "
        "from: where the two part, the network learns its examples by heart."
        if unseen
        else "on the examples learnt from."
    )
    return f"{names.capitalize()} after each epoch, {compared}"


def _reached(records: Records, watched: str, best: int | None) -> str:
    """What the best epoch is and what was measured there."""
    epoch = int(records[-1]["epoch"]) if best is None else best
    measure = "accuracy" if "accuracy" in records[0] else "loss"
    record = _record(records, epoch)
    split = watched if f"val_{measure}" in record else "training"
    value = record.get(f"val_{measure}", record[measure])
    place = f"epoch {epoch} of {len(records)}" + ("" if best is None else ", the best one (ringed)")
    return f"The {split} {measure} reaches {value:.4g} at {place}."


def _gap(records: Records) -> str:
    """How far training and unseen examples lie apart at the end."""
    last = records[-1]
    measure = "accuracy" if "accuracy" in last else "loss"
    if f"val_{measure}" not in last:
        return ""
    apart = last[measure] - last[f"val_{measure}"]
    return f" At the end the training {measure} is {last[measure]:.4g}, {abs(apart):.2g} " + (
        "above it." if apart >= 0 else "below it."
    )


def _ended(subject: Subject, kept: int | None) -> str:
    """Why training ended, where it was not that all epochs were done, and which weights are kept."""
    reason = REASONS.get(subject.history.get("stopped", "epochs"), "")
    early = reason and subject.history.get("stopped", "epochs") != "epochs"
    ended = f" Training ended then because {reason}." if early else ""
    return ended + ("" if kept is None else f" The network has the weights of epoch {kept} (the square).")


def _record(records: Records, epoch: int) -> Mapping[str, float]:
    return next(record for record in records if record["epoch"] == epoch)
