"""What each of some units likes best: the test images that it answers to most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nnpipe.plots import units
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

BEST = 9  # images a unit
NAMES = 1.0  # inches for the names of units


class PreferredExamples(Picture):
    """For some units of a layer the nine test images with the largest activations (Zeiler & Fergus 2014, figure 2)."""

    kind: Literal["preferred_examples"] = "preferred_examples"
    needs: ClassVar[str] = "images of one or three channels, and a hidden layer of units"
    section: ClassVar[Section] = "activations"
    layer: int | None = Field(
        None, ge=1, description="Which layer, from 1; left out: the last hidden one, of an autoencoder the code."
    )
    units: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), max_length=20, description="Which units, from 0; left out: those that vary most, each in its own way."
    )
    count: int = Field(10, ge=1, le=20, description="How many units to show, where none is named.")
    examples: int = Field(1000, ge=1, le=10_000, description="How many test examples to look at, drawn from all.")

    def applies(self, subject: Subject) -> bool:
        return subject.image_shape is not None and len(subject.inputs) > 0 and bool(units.hidden(subject))

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        place = units.chosen_layer(subject, self.kind, self.layer)
        examples = units.some(subject, self.examples)
        answers = units.activity(subject, place, examples)
        chosen = units.chosen_units(self.kind, self.units, self.count, answers)
        best = np.argsort(-answers, axis=0, kind="stable")[:BEST]  # (BEST, units)
        rows = [(f"unit {unit}", _range(answers[best[:, unit], unit]), examples[best[:, unit]]) for unit in chosen]
        seen = _seen(subject, answers, examples[best])
        return Drawing(
            title="What units like best",
            caption=f"Each row is a unit of {units.in_words(subject, place)}, with the {len(best)} images that it "
            f"answers to most, the strongest first, of {units.looked_at(subject, self.examples)}; under its number its "
            "largest and its smallest activation among them. Images that have something in common tell what the unit "
            f"stands for.{_how_chosen(self.units, chosen, answers)} {seen}",
            alt=f"{len(chosen)} rows of {len(best)} test images, a row for each unit. {seen}",
            figure=_draw_rows(subject, rows),
        )


def _range(best: np.ndarray) -> str:
    return f"{best[0]:.3g} to {best[-1]:.3g}"


def _how_chosen(named: Sequence[int], chosen: Sequence[int], answers: np.ndarray) -> str:
    left_out = not named and len(chosen) < answers.shape[1]
    return f" Of {answers.shape[1]:,} units those are shown that vary most, each in its own way." if left_out else ""


def _seen(subject: Subject, answers: np.ndarray, best: np.ndarray) -> str:
    """How many units like one class alone, of those that do not say the same of every example."""
    import numpy as np

    varying = np.ptp(answers, axis=0) > 0
    of, total = int(varying.sum()), answers.shape[1]
    flat = f" {total - of:,} say the same of every example." if of < total else ""
    if not subject.label_names:
        return f"{of:,} of {total:,} units tell examples apart.{flat}"
    classes = subject.truth[best[:, varying]]
    pure = int((classes == classes[:1]).all(axis=0).sum())
    return f"Of {total:,} units {pure:,} like one class best: all {len(best)} images are of it.{flat}"


def _draw_rows(subject: Subject, rows: Sequence[tuple[str, str, np.ndarray]]) -> Figure:
    """Rows of test examples, each behind a unit's name and how much it answers."""
    import numpy as np

    from nnpipe.plots.images import as_shares
    from nnpipe.plots.mosaic import FRAME_GREY, assemble
    from nnpipe.plots.samples import tiles_of
    from nnpipe.plots.style import INK, MUTED, WIDTH, bare, new_figure

    best = np.concatenate([places for _, _, places in rows])
    grid = assemble(tiles_of(as_shares(subject, subject.inputs[best])), len(rows[0][2]), gap=1.0)
    height = (WIDTH - NAMES) * grid.shape[0] / grid.shape[1]
    figure = new_figure(height, layout=None)
    axes = figure.add_axes((NAMES / WIDTH, 0, 1 - NAMES / WIDTH, 1))
    bare(axes)
    shown = np.where(np.isnan(grid), FRAME_GREY, grid)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    for row, (name, answers, _) in enumerate(rows):
        middle, line = 1 - (row + 0.5) / len(rows), 0.075 / height
        figure.text(0.06 / WIDTH, middle + line, name, va="center", color=INK)
        figure.text(0.06 / WIDTH, middle - line, answers, va="center", fontsize=7.5, color=MUTED)
    return figure
