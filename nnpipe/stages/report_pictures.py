"""Pictures as a page shows them: plots in its own colours, films that can be stopped, and which belong together."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from nnpipe.plots.inline_svg import inline
from nnpipe.stages.report_data import data_url
from nnpipe.store.artifact import Artifact

if TYPE_CHECKING:
    from nnpipe.plots.picture import Drawing, Section

LARGEST_SVG = 300_000  # bytes; a larger one makes the page slow, and its PNG is shown
LARGEST_FILM = 2_500_000  # bytes; of a larger one the last picture is shown
BOX = re.compile(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')


class Heading(NamedTuple):
    """Of a section of pictures: its title, and what its pictures are about."""

    title: str
    about: str


# In the order of a report. The first three have pictures beside what else is told of them.
SECTIONS: dict[Section, Heading] = {
    "pretraining": Heading("Pretraining", ""),
    "training": Heading("Training", ""),
    "results": Heading("Results", ""),
    "weights": Heading("Weights", "What the layers learned to look for, seen in their weights."),
    "activations": Heading(
        "Activations", "What units answer to: the network's values while it looks at test examples."
    ),
    "generation": Heading("Samples", "What the network draws when it is asked for examples of its own."),
    "inside": Heading("Looking inside", "More pictures of the network."),
}


def pictures_of(artifact: Artifact, page: str = "picture") -> list[dict[str, Any]]:
    """Every picture of the stage ``visualize``, ready for the template.

    page: begins the identifiers; another for each artifact whose pictures are on one page.
    """
    found = []
    for entry in artifact.json("pictures"):
        png = artifact.path(entry["file"]).read_bytes()
        svg = artifact.path(f"{entry['name']}.svg").read_bytes() if entry.get("plot") else None
        words = {key: entry[key] for key in ("name", "title", "caption", "alt")}
        found.append({**words, "section": entry.get("section", "inside"), **_shown(entry, png, svg, page)})
    return found


def drawing(drawn: Drawing, name: str) -> dict[str, Any]:
    """A plot that was drawn for this page alone, as ``pictures_of`` gives those of a run."""
    from nnpipe.plots import style

    words = {"name": name, "title": drawn.title, "caption": drawn.caption, "alt": drawn.alt}
    return {**words, **_shown(words, style.png(drawn.figure), style.svg(drawn.figure, name), "plot")}


def sections(pictures: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Section -> its pictures, for every section, in the order of a report."""
    found: dict[str, list[dict[str, Any]]] = {section: [] for section in SECTIONS}
    for picture in pictures:
        found.get(picture["section"], found["inside"]).append(picture)
    return found


def _shown(words: dict[str, Any], png: bytes, svg: bytes | None, page: str) -> dict[str, Any]:
    """anchor, and either ``svg`` or ``url`` (of a film beside it ``still``); ratio of width to height."""
    anchor = f"{page}-{words['name']}"
    markup = inline(svg, anchor, words["alt"]) if svg and len(svg) <= LARGEST_SVG else None
    if markup:
        box = BOX.search(markup)
        width, height = (float(box[1]), float(box[2])) if box else (1.0, 1.0)
        return {"anchor": anchor, "svg": markup, "url": None, "still": None, "ratio": _ratio(width, height)}
    size: tuple[int, int] = struct.unpack(">II", png[16:24])
    shown, still = data_url(png), None
    if b"acTL" in png[:100]:
        last = data_url(_last_frame(png))
        shown, still = (last, None) if len(png) > LARGEST_FILM else (shown, last)
    return {"anchor": anchor, "svg": None, "url": shown, "still": still, "ratio": _ratio(*size)}


def _ratio(width: float, height: float) -> float:
    return round(width / height, 4) if width and height else 1.0


def _last_frame(png: bytes) -> bytes:
    """The last picture of an animated PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as film:
        film.seek(getattr(film, "n_frames", 1) - 1)
        film.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
