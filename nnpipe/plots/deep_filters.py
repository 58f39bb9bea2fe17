"""What units of deeper layers look for in an image, as linear combinations of the units below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.plots import words
from nnpipe.plots.picture import Drawing, Picture, Section, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.figure import Figure

PASSED = {"flatten", "dropout", "activation"}
FEW, COLUMNS = 8, (4, 10)  # units, and columns of so few and of more
TITLE, ABOVE, BELOW = 0.24, 0.1, 0.08  # inches: a layer's title, the names above its first row, and below all
EXAMPLES = 1000  # test images at most that tell how far the linear reading holds


class Deep(NamedTuple):
    """A deeper layer: its number among those with weights, from 1, and its place among all.

    weight: (units, inputs). fields: (units, channels, height, width).
    """

    number: int
    place: int
    weight: np.ndarray
    fields: np.ndarray
    kind: str


class DeepFilters(Picture):
    """Products of the weights up to each layer of a dense network, as images.

    The linear combination of previous units: Lee, Ekanadham & Ng 2008, figure 2; Erhan, Bengio, Courville & Vincent
    2009, section 3.3. Nonlinearities and biases are left out of it.
    """

    kind: Literal["deep_filters"] = "deep_filters"
    needs: ClassVar[str] = "images of one or three channels, and dense layers alone from them on, at least two"
    section: ClassVar[Section] = "weights"
    count: int = Field(30, ge=1, le=100, description="How many units to show at most of each layer, strongest first.")
    layers: int = Field(4, ge=1, description="How many layers to show at most: from the second on, and the last.")

    def applies(self, subject: Subject) -> bool:
        return bool(_deep(subject))

    def draw(self, subject: Subject) -> Drawing:
        deep = _deep(subject)
        chosen = deep if len(deep) <= self.layers else [*deep[: self.layers - 1], deep[-1]]
        classes = subject.class_names
        named = classes if chosen[-1].kind == "dense" and len(chosen[-1].fields) == len(classes) else []
        figure = _draw(chosen, self.count, named)
        numbers = words.joined([str(each.number) for each in chosen])
        seen = _seen(subject, chosen)
        return Drawing(
            title="Filters of deeper layers",
            caption=f"What units of layers {numbers} look for in the image, as sums of the filters of the "
            "units below, weighted as they read them, down to the first layer: red pixels speak for the unit, blue "
            "ones against it. Each layer has its own colour scale, and its strongest units come first"
            f"{', classes in their order' if named else ', numbered from 0'}. What is not linear "
            f"between layers is left out: {seen}",
            alt=f"Grids of what units of layers {numbers} look for, red positive, blue negative.",
            figure=figure,
        )


def _deep(subject: Subject) -> list[Deep]:
    """Each dense layer above the first, as long as nothing but dense layers came before; up to a code."""
    from nnpipe.plots.weights import weights_of

    if subject.image_shape is None:
        return []
    found: list[Deep] = []
    product: np.ndarray | None = None
    for number, each in enumerate(weights_of(subject), start=1):
        past_code = subject.code is not None and each.place > subject.code
        if each.layer.kind == "conv2d" or not PASSED.issuperset(each.between) or past_code:
            break
        product = each.weight if product is None else each.weight @ product
        if number > 1:
            found.append(
                Deep(number, each.place, each.weight, product.reshape(-1, *subject.image_shape), each.layer.kind)
            )
    return found


def _draw(deep: Sequence[Deep], count: int, classes: Sequence[str]) -> Figure:
    """One grid a layer, from above. classes: names of the last layer's units, where these stand for classes."""
    from nnpipe.plots import style
    from nnpipe.plots.confusion_matrix import shortened
    from nnpipe.plots.mosaic import end_of_scale, grid_size, show_filters

    orders = [_order(each.fields, count, as_it_is=bool(classes) and each is deep[-1]) for each in deep]
    columns = COLUMNS[max(map(len, orders)) > FEW]
    sizes = [grid_size((len(order), *deep[0].fields.shape[1:]), columns, named=True) for order in orders]
    highs = [style.WIDTH * tall / wide for tall, wide in sizes]
    whole = sum(highs) + len(deep) * (TITLE + ABOVE + BELOW)
    figure, top = style.new_figure(whole, layout=None), whole
    for each, order, high in zip(deep, orders, highs, strict=True):
        shown = each.fields[order].astype("float64")
        limit = end_of_scale(shown)
        some = f"{len(order)} of {len(each.fields):,}" if len(order) < len(each.fields) else f"all {len(order)}"
        told = f"Layer {each.number}: {some} units, colours end at ±{limit:.2g}"
        figure.text(0.005, (top - TITLE / 2) / whole, told, fontsize=8, va="center", color=style.INK)
        top -= TITLE + ABOVE + high
        axes = figure.add_axes((0, top / whole, 1, high / whole))
        names = [shortened(classes[unit], 8) for unit in order] if classes and each is deep[-1] else map(str, order)
        show_filters(axes, shown, columns, limit, list(names))
        axes.set_anchor("W")
        top -= BELOW
    return figure


def _order(fields: np.ndarray, count: int, *, as_it_is: bool) -> np.ndarray:
    """Which units to show: the strongest first, or the first ones."""
    import numpy as np

    if as_it_is:
        return np.arange(len(fields))[:count]
    return np.argsort(-np.linalg.norm(fields.reshape(len(fields), -1), axis=1), kind="stable")[:count]


def _seen(subject: Subject, deep: Sequence[Deep]) -> str:
    """How well the linear reading tells what units sum up, by layers."""
    import numpy as np
    import torch

    network = subject.network
    some = subject.inputs[np.unique(np.linspace(0, len(subject.inputs) - 1, EXAMPLES).astype(int))]
    x = network.scaling.apply(some)
    with torch.inference_mode():
        activations = [values.numpy() for values in network.activations(torch.from_numpy(x))]
    told = []
    for each in deep:
        read = x.reshape(len(x), -1) @ each.fields.reshape(len(each.fields), -1).T
        told.append(f"{correlation(read, activations[each.place - 1] @ each.weight.T):.2f} in layer {each.number}")
    return (
        f"over {len(x):,} test images, what these filters give correlates with what the units sum up to "
        f"{words.joined(told)} (median over units; 1: nothing was lost)."
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The median over units of the correlation of ``one`` with ``other``, (examples, units).

    Units that never change are left out; 0 if all are.
    """
    import numpy as np

    first, second = (values - values.mean(axis=0, dtype=np.float64) for values in (one, other))
    length = np.linalg.norm(first, axis=0) * np.linalg.norm(second, axis=0)
    found = (first * second).sum(axis=0)[length > 0] / length[length > 0]
    return float(np.median(found)) if len(found) else 0.0
