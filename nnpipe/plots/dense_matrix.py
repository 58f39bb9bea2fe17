"""A dense layer as a matrix: every weight, or every few of them together, a cell of signed colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nnpipe.plots.weights import Weights

LEAST = 10  # units, and inputs: smaller matrices say nothing
WIDE = 830  # pixels for the matrix
MOST_COLUMNS, MOST_ROWS = WIDE // 2, WIDE // 2  # cells of two pixels: noise in every pixel would make a large file
LEFT, TOP, FOOT = 112, 72, 96  # and around it
SPREAD = (0.5, 1)  # height by width of the matrix, at least and at most
DIGIT = 10.5  # pixels of a small digit


class DenseMatrix(Picture):
    """Units are rows; columns are inputs, grouped by the channel of the feature maps that they come from."""

    kind: Literal["dense_matrix"] = "dense_matrix"
    needs: ClassVar[str] = f"a dense layer above the first with weights, of at least {LEAST} units and {LEAST} inputs"
    section: ClassVar[Section] = "weights"
    layer: int | None = Field(
        None, ge=0, description="Its place among the layers, from 0; left out: the first that does not see the data."
    )
    shrink: Literal["mean", "strongest"] = Field(
        "mean", description="What stands for neighbouring weights where there are more than can be told apart."
    )

    def applies(self, subject: Subject) -> bool:
        return self._found(subject) is not None

    def draw(self, subject: Subject) -> Drawing:
        import numpy as np

        found = self._found(subject)
        assert found is not None
        groups = found.sees[0] if len(found.sees) == 3 else 1
        grouped = found.weight.astype(np.float64).reshape(len(found.weight), groups, -1)
        classes = _classes(subject, found)
        rows = np.arange(len(grouped)) if classes else _strongest_first(grouped, 0)
        order = _strongest_first(grouped, 1)
        ordered = grouped[rows][:, order]
        if groups == 1 and len(found.sees) == 1:
            ordered = ordered[:, :, _strongest_first(grouped, 2)]
        cells, together = shrunk(ordered, self.shrink)
        figure = _draw(cells, order.tolist(), classes)
        seen = _seen(grouped)
        units, inputs = found.weight.shape
        return Drawing(
            title="Weights of a dense layer",
            caption=f"The weights of a dense layer (layers.{found.place} in the model's file), {units:,} units by "
            f"{inputs:,} inputs, red where an input speaks for a unit, blue where against it. "
            f"{_order(groups, found, classes)}{_cells(together, self.shrink)} {seen}",
            alt=f"A matrix of {units:,} by {inputs:,} weights, red positive, blue negative. {seen}",
            figure=figure,
        )

    def _found(self, subject: Subject) -> Weights | None:
        from nnpipe.plots.weights import weights_of

        for number, each in enumerate(weights_of(subject)):
            wanted = number > 0 if self.layer is None else each.place == self.layer
            if wanted and each.layer.kind != "conv2d" and min(each.weight.shape) >= LEAST:
                return each
        return None


def shrunk(weight: np.ndarray, by: Literal["mean", "strongest"]) -> tuple[np.ndarray, tuple[int, int]]:
    """``weight`` (units, groups, inputs) in no more rows and columns than can be drawn, (rows, groups, columns).

    Also how many weights became one at most, down and across. Cells stay within their group.
    """
    import numpy as np

    units, groups, inputs = weight.shape
    down, starts_down = _cells_of(units, MOST_ROWS)
    across, starts_across = _cells_of(inputs, max(1, MOST_COLUMNS // groups))

    def reduced(function: np.ufunc) -> np.ndarray:
        return np.asarray(function.reduceat(function.reduceat(weight, starts_down, axis=0), starts_across, axis=2))

    if by == "mean":
        counts = np.outer(np.diff([*starts_down, units]), np.diff([*starts_across, inputs]))
        return reduced(np.add) / counts[:, None], (down, across)
    highest, lowest = reduced(np.maximum), reduced(np.minimum)
    return np.where(highest >= -lowest, highest, lowest), (down, across)


def _cells_of(count: int, most: int) -> tuple[int, np.ndarray]:
    """How many of ``count`` values are one of at most ``most`` cells of about equal size, and where each begins."""
    import numpy as np

    together = -(-count // most)
    cells = -(-count // together)
    return together, np.arange(cells) * count // cells


def _strongest_first(weight: np.ndarray, axis: int) -> np.ndarray:
    import numpy as np

    others = tuple(other for other in range(3) if other != axis)
    return np.argsort(-np.square(weight).sum(axis=others), kind="stable")


def _classes(subject: Subject, found: Weights) -> list[str]:
    """The classes that the units stand for; none unless the layer is the last one and has a unit for each."""
    last = found.place == len(subject.document["architecture"]["layers"]) - 1
    names = subject.class_names
    return names if last and found.layer.kind == "dense" and len(names) == len(found.weight) else []


def _draw(cells: np.ndarray, channels: list[int], classes: list[str]) -> Figure:
    """Draw ``cells`` (rows, groups, columns)."""
    from nnpipe.plots import style
    from nnpipe.plots.mosaic import colour_bar, end_of_scale

    matrix = cells.reshape(len(cells), -1)
    share = min(max(matrix.shape[0] / matrix.shape[1], SPREAD[0]), SPREAD[1])
    tall = round(WIDE * share)
    wide, high = style.WIDTH * style.DPI, tall + TOP + FOOT
    figure = style.new_figure(high / style.DPI, layout=None)
    axes = figure.add_axes((LEFT / wide, FOOT / high, WIDE / wide, tall / high))
    limit = end_of_scale(matrix)
    image = axes.imshow(matrix, cmap=style.SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    _mark_columns(axes, cells.shape[1], cells.shape[2], channels)
    _mark_rows(axes, classes)
    colour_bar(figure, image, limit, axes=figure.add_axes((0.25, 52 / high, 0.6, 14 / high)))
    return figure


def _mark_columns(axes: Axes, groups: int, size: int, channels: list[int]) -> None:
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("top")
    if groups == 1:
        axes.set_xticks([])
        axes.set_xlabel("inputs", fontsize=7.5, loc="left")
        return
    axes.set_xlabel("channels of the feature maps below", fontsize=7.5, loc="left")
    axes.set_xticks([group * size - 0.5 for group in range(groups + 1)], labels=[])
    across = WIDE / groups
    every = -(-round(max(len(str(channel)) for channel in channels) * DIGIT + 4) // max(1, int(across)))
    axes.set_xticks([(group + 0.5) * size - 0.5 for group in range(groups)][::every], minor=True)
    axes.set_xticklabels([str(channel) for channel in channels][::every], minor=True, fontsize=6)
    axes.tick_params("x", which="major", length=4, width=0.6, color="#59636e")
    axes.tick_params("x", which="minor", length=0, pad=5)


def _mark_rows(axes: Axes, classes: list[str]) -> None:
    from nnpipe.plots.confusion_matrix import shortened

    every = -(-len(classes) // 25) or 1
    axes.set_yticks(range(0, len(classes), every), labels=[shortened(name, 9) for name in classes][::every])
    axes.tick_params("y", labelsize=6)
    if not classes:
        axes.set_ylabel("units", fontsize=7.5)


def _order(groups: int, found: Weights, classes: list[str]) -> str:
    units = "Rows are the classes" if classes else "The units with the largest norm stand first, from above"
    if len(found.sees) == 1:
        return f"{units}; the inputs with the largest norm first, from the left."
    height, width = found.sees[1:]
    if groups == 1:
        return f"{units}; inputs are the {height} by {width} places of the image, row by row."
    return (
        f"{units}; inputs are grouped by the {groups} feature maps of {height} by {width} places, the map with the "
        "largest norm first, marked above with its number from 0."
    )


def _cells(together: tuple[int, int], by: str) -> str:
    down, across = together
    if together == (1, 1):
        return " Each cell is one weight."
    how = "their mean" if by == "mean" else "the one furthest from zero"
    many = f"{down} by {across}" if down > 1 else f"{across}"
    return f" There are more weights than can be told apart: a cell stands for up to {many} of them and shows {how}."


def _seen(weight: np.ndarray) -> str:
    """weight: (units, groups, inputs)."""
    import numpy as np

    square = np.sort(np.square(weight), axis=None)[::-1].cumsum()
    half = (int((square < square[-1] / 2).sum()) + 1) / square.size
    norms = np.sqrt(np.square(weight).sum(axis=(1, 2)))
    silent = int((norms < norms.max() / 10).sum())
    told = f"Half of all squared weight lies in {half:.1%} of the weights"
    if weight.shape[1] > 1:
        maps = np.sort(np.square(weight).sum(axis=(0, 2)))[::-1].cumsum()
        told += f", and in {int((maps < maps[-1] / 2).sum()) + 1} of the {weight.shape[1]} maps"
    told += f"; {(weight < 0).mean():.0%} are negative."
    against = int((weight.mean(axis=(1, 2)) < 0).sum())
    some = "None has" if not silent else f"{silent} {'has' if silent == 1 else 'have'}"
    return (
        f"{told} Of {len(norms)} units, {against} weigh their inputs negatively on average. "
        f"{some} less than a tenth of the largest norm."
    )
