"""The function that a network of one input has learnt, over the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

STEPS = 500  # points of the curve
MOST_TARGETS = 4


class FittedFunction(Picture):
    """Test examples as points, the network's answer to every input between them as a line; one panel a target."""

    kind: Literal["fitted_function"] = "fitted_function"
    needs: ClassVar[str] = "inputs of one number, and numbers to learn"
    section: ClassVar[Section] = "results"

    def applies(self, subject: Subject) -> bool:
        one = list(subject.attributes["input_shape"]) == [1]
        return one and bool(subject.target_names) and len(subject.inputs) > 0

    def draw(self, subject: Subject) -> Drawing:
        from nnpipe.plots.style import new_figure

        names = subject.target_names[:MOST_TARGETS]
        inputs, values = _curve(subject)
        figure = new_figure(0.3 + (3.2 if len(names) == 1 else 2.1 * len(names)))
        panels = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
        for index, (axes, name) in enumerate(zip(panels, names, strict=True)):
            _draw_panel(axes, subject.inputs[:, 0], subject.truth[:, index], inputs, values[:, index], name)
        panels[-1].set_xlabel("input")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        seen = _seen(subject, inputs)
        return Drawing(
            title="Fitted function",
            caption="Points are test examples, which were not learnt from; the line is what the network answers to "
            "every input between the smallest and the largest of them. A line that runs through the middle of the "
            "points has found the function; one that bends after single points has learnt their noise, and one that is "
            f"stiffer than the points needs more units or more training. {seen}",
            alt=f"The network's answer as a line over {len(subject.inputs)} test examples. {seen}",
            figure=figure,
            plot=True,
        )


def _curve(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, (STEPS,), and the network's numbers, (STEPS, targets)."""
    import numpy as np
    import torch

    network = subject.network
    inputs = np.linspace(subject.inputs.min(), subject.inputs.max(), STEPS)
    with torch.inference_mode():
        values = network.estimate(torch.from_numpy(network.scaling.apply(inputs[:, None])))
    return inputs, values.numpy()


def _draw_panel(
    axes: Axes, points: np.ndarray, truth: np.ndarray, inputs: np.ndarray, values: np.ndarray, name: str
) -> None:
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.style import SKY, VERMILLION

    size, alpha = (12, 0.8) if len(points) <= 500 else (5, 0.5)
    axes.scatter(points, truth, s=size, color=SKY, alpha=alpha, linewidths=0, label="test examples")
    axes.plot(inputs, values, color=VERMILLION, label="network")
    axes.set_ylabel(shortened(name, 24))
    axes.margins(x=0.02)


def _seen(subject: Subject, inputs: np.ndarray) -> str:
    error = subject.evaluation["test_root_mean_squared_error"]
    spread = subject.truth.std(axis=0).mean()
    return (
        f"Between {inputs[0]:.3g} and {inputs[-1]:.3g} the points lie {error:.3g} from the line (root of the mean "
        f"square), where their own standard deviation is {spread:.3g}."
    )
