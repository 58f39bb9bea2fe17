"""Points of many dimensions on a page: their principal plane, and a map that keeps neighbours together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from nnpipe.plots.confusion_matrix import shortened
from nnpipe.plots.style import BLUE, INK, MUTED, SERIES, WIDTH, new_figure

MOST_NAMED = 30  # classes
FEWEST_MAPPED = 10  # points: fewer have no neighbourhoods
PERPLEXITY, ITERATIONS = 30, 500
HOW_TO_READ = (
    "The map puts like examples together (van der Maaten & Hinton 2008); how large its islands are and how far they "
    "lie apart says little."
)


def in_the_plane(codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Points, (n, 2), in the first two principal directions of codes, (n, units), and their share of the variance."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, :-3:-1]
    largest = directions[np.abs(directions).argmax(axis=0), [0, 1]]
    directions = directions * np.sign(largest)  # which way a direction points is nobody's choice
    total = variances.sum()
    return centred @ directions, float(variances[-2:].sum() / total) if total > 0 else 0.0


def can_be_mapped(codes: np.ndarray) -> bool:
    """Whether there are enough codes, of more than two numbers, and not all of them the same."""
    return len(codes) >= FEWEST_MAPPED and codes.shape[1] > 2 and bool(np.ptp(codes, axis=0).any())


def neighbour_map(codes: np.ndarray) -> np.ndarray:
    """A map, (n, 2), by t-SNE (van der Maaten & Hinton 2008), from the principal plane on; always the same.

    Two threads would add up in another order, and the map tells the difference.
    """
    with threadpool_limits(1):
        mapping = TSNE(
            perplexity=min(PERPLEXITY, (len(codes) - 1) / 3),
            init="pca",
            random_state=0,
            max_iter=ITERATIONS,
            n_jobs=1,
        )
        points: np.ndarray = mapping.fit_transform(codes.astype(np.float32))
    return points


def alike_neighbours(points: np.ndarray, labels: np.ndarray) -> float:
    """How often the nearest other point is of the same class. points: (n, dimensions), labels: (n,)."""
    squares = np.square(points.astype(np.float64)).sum(1)
    distances = squares[:, None] + squares - 2 * points.astype(np.float64) @ points.T.astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(1)] == labels).mean())


def neighbours_seen(codes: np.ndarray, points: np.ndarray, labels: np.ndarray, what: str) -> str:
    """What ``alike_neighbours`` gives of the map's points and of the codes, those of a ``what``."""
    return (
        f"The nearest neighbour is of the same class for {alike_neighbours(points, labels):.1%} of the examples on the "
        f"map, and for {alike_neighbours(codes, labels):.1%} in the {what} itself."
    )


def draw_panels(
    panels: Sequence[tuple[str, np.ndarray]], labels: Sequence[np.ndarray | None], names: Sequence[str]
) -> Figure:
    """Points (n, 2) under titles, one panel above the other, coloured by their labels, where there are some."""
    figure = new_figure(WIDTH if len(panels) == 1 else 3.7 * len(panels))
    for axes, (title, points), known in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels, labels, strict=True
    ):
        axes.set_title(title)
        _draw_points(axes, points, known, names)
    return figure


def _draw_points(axes: Axes, points: np.ndarray, labels: np.ndarray | None, names: Sequence[str]) -> None:
    colours = (*SERIES, "#7a0a21", "#b59f00", INK, MUTED)
    size, alpha = (12, 0.7) if len(points) <= 1000 else (4, 0.5)
    colour = BLUE if labels is None else [colours[label % len(colours)] for label in labels]
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colour, alpha=alpha, linewidths=0)
    axes.tick_params(labelbottom=False, labelleft=False)  # the numbers of a map mean nothing
    axes.grid(visible=False)
    if labels is not None and len(names) <= MOST_NAMED:
        for label, name in enumerate(names):
            if (labels == label).any():
                x, y = _midmost(points[labels == label])
                text = axes.text(x, y, shortened(name, 12), color=INK, ha="center", va="center", fontweight="bold")
                text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _midmost(points: np.ndarray) -> np.ndarray:
    """The point that is nearest to all others: it lies on an island, where a mean may lie between two of them."""
    points = points[:500]
    distances = np.linalg.norm(points[:, None] - points, axis=2).sum(1)
    midmost: np.ndarray = points[distances.argmin()]
    return midmost
