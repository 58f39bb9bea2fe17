"""How pictures look: one typeface, one palette, one width; drawn without a display and without pyplot's global state.

Figures are narrow, so that their 9-point text is still readable when a telephone shows them at its own width.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from nnpipe.plots.palette import BLUE as BLUE
from nnpipe.plots.palette import FAINT as FAINT
from nnpipe.plots.palette import GREEN as GREEN
from nnpipe.plots.palette import GRID as GRID
from nnpipe.plots.palette import INK as INK
from nnpipe.plots.palette import MUTED as MUTED
from nnpipe.plots.palette import ORANGE as ORANGE
from nnpipe.plots.palette import PURPLE as PURPLE
from nnpipe.plots.palette import SERIES as SERIES
from nnpipe.plots.palette import SKY as SKY
from nnpipe.plots.palette import VERMILLION as VERMILLION

WIDTH = 4.8  # inches
DPI = 200
FRAME_MS, LAST_FRAME_MS = 250, 2000  # of a film

TOLD = "told: "  # begins the name of an SVG's group whose rest is shown where the pointer rests
A_LINE = 100  # points of a line that are told
_TOLD = re.compile(f"""<g id=(["']){TOLD}(.*?)\\1>""")

# Blue for negative, red for positive: told apart by the colour-blind too. An odd number of colours: zero is white.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#0b3c71", "#2f79b5", "#93c4de", "#ffffff", "#f5a789", "#cb4a42", "#7a0a21"], N=257
).with_extremes(bad="#ababab")
SEQUENTIAL = LinearSegmentedColormap.from_list("sequential", ["#ffffff", "#b9d6ea", "#5da2cf", "#1a6aa8", "#0b3c71"])

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,  # both axes may begin with a number in one corner
    "figure.constrained_layout.hspace": 0.06,  # what is written below a plot is nearer to it than to the next one
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}

# Groups of settings that change looks: those of backends and of interaction are left as they are.
LOOKS = (
    "axes.", "figure.constrained_layout.", "font.", "grid.", "hatch.", "image.", "legend.", "lines.", "markers.",
    "mathtext.", "patch.", "path.", "savefig.", "scatter.", "text.", "xaxis.", "xtick.", "yaxis.", "ytick.",
)  # fmt: skip

_one_at_a_time = threading.Lock()


@contextmanager
def applied() -> Iterator[None]:
    """Draw with these settings and no user's own; matplotlib's settings are global, so one thread at a time."""
    defaults: Mapping[Any, Any] = mpl.rcParamsDefault
    looks = {name: defaults[name] for name in defaults if name.startswith(LOOKS)}
    with _one_at_a_time, mpl.rc_context(looks | SETTINGS):
        yield


def new_figure(height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure of the common width; ``height`` in inches."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG; no version and no time inside, so equal figures give equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(_pixels(figure)).save(buffer, "PNG", dpi=(DPI, DPI))
    return buffer.getvalue()


def animated_png(film: Sequence[Figure]) -> bytes:
    """The figures one after the other, again and again, the last one for longer; every program shows at least one."""
    from PIL import Image

    frames = [Image.fromarray(_pixels(figure)) for figure in film]
    buffer = io.BytesIO()
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return buffer.getvalue()


def _pixels(figure: Figure) -> np.ndarray:
    """The figure as colours (height, width, 3), straight from its canvas: no file is compressed and read again."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # it is laid out, which takes as long as drawing: its SVG is to look the same
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def svg(figure: Figure, salt: str) -> bytes:
    """The figure as SVG, letters as letters; what ``tell`` said is shown where the pointer rests.

    salt: makes the names inside differ from those of another figure on the same page.
    """
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasSVG(figure)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    figure.set_dpi(DPI)  # the canvas makes it 72
    text = buffer.getvalue().decode()
    return _TOLD.sub(lambda found: f"<g><title>{found[2]}</title>", text).encode()


def tell(axes: Axes, x: Iterable[float], y: Iterable[float], words: Iterable[str], most: int | None = None) -> None:
    """Say ``words`` where the pointer rests on the points (x, y) of an SVG; nothing of it is seen in a PNG.

    most: of more points only so many are told, from the first to the last at even distances; a page of thousands of
    them would be slow.
    """
    points = list(zip(x, y, words, strict=True))
    if most is not None and len(points) > most:
        points = [points[number * (len(points) - 1) // (most - 1)] for number in range(most)]
    for at, height, text in points:
        axes.plot([at], [height], "o", color=INK, markersize=9, alpha=0, gid=TOLD + " ".join(text.split()))


def logarithmic(axis: Axis) -> None:
    """Make an axis logarithmic, its numbers plain: powers of ten are mathematics, which is not parsed here.

    What is drawn says how far it reaches: over less than two powers of ten, 2 and 5 times them have numbers too.
    """
    scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    scale("log")
    low, high = sorted(axis.get_view_interval())
    if 0 < high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def bare(axes: Axes) -> None:
    """Take ticks, grid and frame away: what is inside is a picture, not a plot."""
    axes.set_axis_off()
    axes.grid(visible=False)
