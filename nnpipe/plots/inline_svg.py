"""A plot as a part of a page: in the page's colours, its identifiers its own, nothing in it but shapes and letters."""

from __future__ import annotations

import re
from html import escape
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from nnpipe.plots.palette import PROPERTIES

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
SHAPES = {"svg", "g", "defs", "clipPath", "path", "rect", "use", "text", "tspan", "title", "image"}
SILENT = {"metadata", "style"}  # left out: the page has its own
ATTRIBUTES = {
    "viewBox", "d", "x", "y", "width", "height", "transform", "style", "clip-path", "href", "preserveAspectRatio",
}  # fmt: skip
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b")
LINK = re.compile(r"url\(#([^)]+)\)")
DECIMALS = re.compile(r"-?\d+\.\d{3,}")
FONT = "'DejaVu Sans'"


def inline(svg: bytes, name: str, alt: str) -> str | None:
    """The SVG as an element of a page, read as one image called ``alt``; None where it holds anything unexpected.

    Where all its colours are of the palette they become the page's, ``var(--ink, #1f2328)``. With others among them, or
    with an image, light and dark could not be told from each other on dark paper: it stays as it is, of class ``card``.

    name: begins its identifiers; unique on the page.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return None
    used = {link for element in root.iter() for link in _links(element)}
    whole = _Writer(name, used, recoloured=_within_palette(root))
    try:
        inside = "".join(map(whole.element, root))
        box = escape(root.attrib["viewBox"])
    except KeyError:
        return None
    kind = "plot" if whole.recoloured else "plot card"
    return f'<svg class="{kind}" role="img" aria-label="{escape(alt)}" viewBox="{box}">{inside}</svg>'


def _within_palette(root: Element) -> bool:
    colours = {found.lower() for element in root.iter() for found in COLOUR.findall(element.get("style", ""))}
    return colours <= PROPERTIES.keys() and root.find(f".//{SVG}image") is None


def _links(element: Element) -> list[str]:
    """Identifiers that an element refers to."""
    target = element.get(f"{XLINK}href", element.get("href", ""))
    clipped = LINK.findall(element.get("clip-path", ""))
    return [*clipped, *([target[1:]] if target.startswith("#") else [])]


class _Writer:
    """Writes elements. used: identifiers that something refers to; the others are left out."""

    def __init__(self, name: str, used: set[str], *, recoloured: bool) -> None:
        self.name, self.used, self.recoloured = name, used, recoloured

    def element(self, element: Element) -> str:
        """The element and all inside it. KeyError: it is none of SHAPES."""
        tag = element.tag.removeprefix(SVG)
        if tag in SILENT:
            return ""
        if tag not in SHAPES:
            raise KeyError(tag)
        inside = escape(element.text or "") if tag in ("text", "tspan", "title") else ""
        inside += "".join(map(self.element, element))
        attributes = "".join(f' {key}="{escape(value)}"' for key, value in self._attributes(element, tag).items())
        if tag == "g" and not (inside and attributes):
            return inside
        return f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"

    def _attributes(self, element: Element, tag: str) -> dict[str, str]:
        found = {}
        if element.get("id") in self.used:
            found["id"] = f"{self.name}-{element.get('id')}"
        if tag == "g" and element.find(f"{SVG}title") is not None:
            found["class"] = "told"
        for key, value in element.attrib.items():
            plain = key.removeprefix(XLINK)
            if plain in ATTRIBUTES:
                found[plain] = self._value(plain, value)
        return found

    def _value(self, key: str, value: str) -> str:
        if key == "href":
            if value.startswith("#"):
                return f"#{self.name}-{value[1:]}"
            if not value.startswith("data:image/png;"):
                raise KeyError(value)
            return value
        if key == "clip-path":
            return LINK.sub(lambda link: f"url(#{self.name}-{link[1]})", value)
        if key == "style":
            if self.recoloured:
                value = COLOUR.sub(lambda found: f"var({PROPERTIES[found[0].lower()]}, {found[0]})", value)
            return value.replace(FONT, f"{FONT}, Verdana, sans-serif")
        # A hundredth of a point: nobody sees finer.
        return DECIMALS.sub(lambda number: f"{float(number[0]):.2f}", " ".join(value.split()))
