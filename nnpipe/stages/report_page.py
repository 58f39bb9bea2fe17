"""How pages are made: templates, the words they use, and a policy that lets a page load nothing and run nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.plots import words

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES = Path(__file__).parent  # a template for each kind of page
TEMPLATES = PAGES / "templates"  # of a run's report, and what other pages share with it
SHARED = ("macros.html.jinja", "report.css")


def digest_of(*paths: Path) -> str:
    """SHA-256 of files, names included."""
    state = hashlib.sha256()
    for path in sorted(paths):
        state.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def render(template: str, facts: Mapping[str, Any], *filters: Callable[..., str]) -> str:
    """The page that ``template`` makes of ``facts``; what is text is escaped. filters: more of them, by their names."""
    return _environment(filters).get_template(template).render(facts)


@cache  # with its templates, which take longer to compile than a page takes to make
def _environment(filters: tuple[Callable[..., str], ...]) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([PAGES, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plain = (words.duration, words.size, words.number, words.percent, words.shape, words.kind, words.joined)
    for function in (*plain, words.metric, *filters):
        environment.filters[function.__name__] = function
    return environment
