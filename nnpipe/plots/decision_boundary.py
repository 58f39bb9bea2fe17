"""What the network says of every point of the plane: for data of two features and two classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

STEPS = 200  # points of the grid along each axis
MARGIN = 0.08  # of the data's extent, around it


class DecisionBoundary(Picture):
    """The probability of the second class over the plane, the line where it is one half, and the test points."""

    kind: Literal["decision_boundary"] = "decision_boundary"
    needs: ClassVar[str] = "data of two features and two classes, of which the network tells probabilities"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        plane = list(subject.attributes["input_shape"]) == [2]
        return plane and len(subject.class_names) == 2 and subject.score == "probability"

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import WIDTH, new_figure

        horizontal, vertical, probability = _over_the_plane(subject)
        figure = new_figure(WIDTH)
        axes = figure.add_subplot()
        _draw_plane(axes, horizontal, vertical, probability)
        _draw_points(axes, subject)
        wrong = int((subject.predictions.argmax(axis=1) != subject.truth).sum())
        first, second = subject.class_names
        crossed = probability.min() < 0.5 < probability.max()
        line = "on the black line it is one half" if crossed else "nowhere in view does it cross one half"
        seen = (
            f"{wrong:,} of {len(subject.truth):,} test points ({wrong / max(len(subject.truth), 1):.1%}) lie on the "
            f"wrong side; the network gives {(probability > 0.5).mean():.0%} of the plane shown to class {second}."
        )
        return Drawing(
            title="Decision boundary",
            caption=f"Colours give the probability of class {second} at each point, from blue (surely {first}) through "
            f"white (undecided) to red (surely {second}), in steps of a tenth; {line}. "
            f"Circles are test points of class {first}, triangles of class {second}. {seen}",
            alt=f"The plane of two features, divided by a line into classes {first} and {second}. {seen}",
            figure=figure,
            plot=True,
        )


def _over_the_plane(subject: Subject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The grid's coordinates along both axes and the probability (STEPS, STEPS) of the second class on it."""
    import numpy as np
    import torch

    network = subject.network
    low, high = subject.inputs.min(axis=0), subject.inputs.max(axis=0)
    around = MARGIN * (high - low) + 1e-9
    horizontal, vertical = np.linspace(low - around, high + around, STEPS).T
    points = np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2)
    with torch.inference_mode():
        probabilities, _ = network.predict(torch.from_numpy(network.scaling.apply(points)))
    return horizontal, vertical, probabilities[:, 1].numpy().reshape(STEPS, STEPS)


def _draw_plane(axes: Axes, horizontal: np.ndarray, vertical: np.ndarray, probability: np.ndarray) -> None:
    from nnpipe.plots.style import INK, SIGNED

    # A sigmoid's outputs reach 0 and 1 exactly, and contours leave out what lies on their outermost level.
    levels = [-1e-6, *(tenth / 10 for tenth in range(1, 10)), 1 + 1e-6]
    filled = axes.contourf(horizontal, vertical, probability, levels=levels, cmap=SIGNED, vmin=-0.15, vmax=1.15)
    if probability.min() < 0.5 < probability.max():
        axes.contour(horizontal, vertical, probability, levels=[0.5], colors=INK, linewidths=1.6)
    axes.grid(visible=False)
    axes.set_xlabel("first feature")
    axes.set_ylabel("second feature")
    bar = axes.figure.colorbar(
        filled, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=40, shrink=0.7
    )
    bar.set_ticks([0, 0.5, 1], labels=["0", "½", "1"])
    bar.outline.set_visible(False)


def _draw_points(axes: Axes, subject: Subject) -> None:
    from nnpipe.plots.confusion_matrix import shortened

    for label, (mark, colour) in enumerate((("o", "#0b3c71"), ("^", "#7a0a21"))):
        points = subject.inputs[subject.truth == label]
        name = "class " + shortened(subject.class_names[label], 16)
        axes.scatter(
            points[:, 0], points[:, 1], s=16, marker=mark, color=colour, edgecolors="white", linewidths=0.5, label=name
        )
    axes.figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2)
