"""What a notebook shows of an object: a card of HTML that needs nothing else, with the colours of the page around it.

It knows no object: whoever wants a card says what is on it. All text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from jinja2 import Template

MOST = 12  # items of a list, or of a mapping, that are shown


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; a table without rows is not shown."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Image:
    """A PNG and what it shows, in words."""

    png: bytes
    alt: str


def card(
    title: str,
    told: str = "",
    *,
    facts: Mapping[str, Any] | None = None,
    tables: Sequence[Table] = (),
    image: Image | None = None,
    report: str | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    """A fragment of HTML.

    told: stands beside the title.
    facts: name -> value: text, numbers, and lists and mappings of these.
    report: path of a file to link to.
    more: name -> text that is unfolded when asked for.
    """
    return _template().render(
        title=title,
        told=told,
        facts=facts or {},
        tables=[table for table in tables if table.rows],
        image=image and {"url": "data:image/png;base64," + base64.b64encode(image.png).decode(), "alt": image.alt},
        report=report and {"url": _link(Path(report)), "path": report},
        more=more or {},
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.tests["numeric"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    return environment.get_template("card.html.jinja")


def shown(value: Any) -> str:
    """A value in a line: whole numbers with separators, measures with four figures, the beginning of what is long."""
    if isinstance(value, Mapping):
        items = [f"{_spaced(str(key))} {shown(item)}" for key, item in list(value.items())[:MOST]]
        return ", ".join(items) + (", …" if len(value) > MOST else "")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value[:MOST])) + (", …]" if len(value) > MOST else "]")
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]  # noqa: RUF001 - a dash is meant
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _link(path: Path) -> str:
    """From the notebook's folder where that is possible: a server opens those, and no file of the machine."""
    here, there = Path.cwd(), path.resolve()
    return quote(there.relative_to(here).as_posix()) if there.is_relative_to(here) else there.as_uri()
