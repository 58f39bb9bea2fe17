from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from nnpipe.plots import palette, style
from nnpipe.plots.inline_svg import inline

HOSTILE = '"><script>alert(1)</script>'
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 10">'


def drawn(colour: str = style.BLUE) -> bytes:
    with style.applied():
        figure = style.new_figure(1.5)
        axes = figure.subplots()
        axes.plot([1, 2, 3], [1, 4, 9], "o-", color=colour, label="squares")
        axes.set_title(HOSTILE)
        style.tell(axes, [1, 2, 3], [1, 4, 9], ["one", HOSTILE, "nine"])
        return style.svg(figure, "squares")


def inlined(svg: bytes | str, alt: str = "Squares") -> str:
    made = inline(svg.encode() if isinstance(svg, str) else svg, "a", alt)
    assert made is not None
    return made


def test_a_plot_becomes_an_image_of_the_page_with_its_words() -> None:
    root = ElementTree.fromstring(inlined(drawn(), alt=HOSTILE))
    assert (root.get("role"), root.get("aria-label"), root.get("class")) == ("img", HOSTILE, "plot")
    texts = [element.text for element in root.iter("text")]
    assert HOSTILE in texts
    assert "2.00" in texts
    assert [element.text for element in root.iter("title")] == ["one", HOSTILE, "nine"]
    assert [g.get("class") for g in root.iter("g") if g.find("title") is not None] == ["told"] * 3


def test_nothing_of_the_file_around_it_comes_along() -> None:
    made = inlined(drawn())
    assert not re.search(r"<\?xml|<!DOCTYPE|<metadata|<style|xmlns|xlink", made)
    assert "<script" not in made


def test_identifiers_are_the_pictures_own_and_every_reference_leads_to_one() -> None:
    made = inlined(drawn())
    identifiers = re.findall(r' id="([^"]+)"', made)
    assert len(identifiers) == len(set(identifiers))
    assert all(name.startswith("a-") for name in identifiers)
    references = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', made)
    assert references
    assert {one or other for one, other in references} == set(identifiers)


def test_colours_of_the_palette_become_those_of_the_page_and_no_other_is_left() -> None:
    made = inlined(drawn())
    assert f"var(--blue, {style.BLUE})" in made
    assert f"var(--paper, {palette.WHITE})" in made
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", made)


@pytest.mark.parametrize("colour", ["#440154", "#ababab"])
def test_a_plot_with_colours_of_its_own_stays_on_white_paper(colour: str) -> None:
    made = inlined(drawn(colour))
    assert 'class="plot card"' in made
    assert "var(" not in made


def test_a_plot_with_an_image_stays_on_white_paper() -> None:
    made = inlined(f'{HEAD}<image xlink:href="data:image/png;base64,AAAA" width="1" height="1"/></svg>')
    assert 'class="plot card"' in made
    assert 'href="data:image/png;base64,AAAA"' in made


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<foreignObject/>",
        '<a href="https://example.org"/>',
        '<image xlink:href="https://example.org/a.png"/>',
        '<use href="https://example.org/a.svg#x"/>',
    ],
)
def test_what_could_run_or_load_something_is_not_shown_at_all(inside: str) -> None:
    assert inline(f"{HEAD}{inside}</svg>".encode(), "a", "") is None


def test_attributes_that_could_run_something_are_left_out() -> None:
    assert inlined(f'{HEAD}<path d="M0 0" onclick="alert(1)"/></svg>').count("alert") == 0


@pytest.mark.parametrize("svg", [b"no markup", b"<svg/>", b""])
def test_what_is_no_svg_is_not_shown(svg: bytes) -> None:
    assert inline(svg, "a", "") is None


def test_lines_lie_where_they_lay_to_a_hundredth_of_a_point() -> None:
    (path,) = re.findall(r' d="([^"]+)"', inlined(f'{HEAD}<path d="M 1.23456 -0.000049&#10;L 20.5 7.999 "/></svg>'))
    assert path == "M 1.23 -0.00 L 20.5 8.00"


def test_every_colour_that_plots_are_styled_with_is_one_of_the_page() -> None:
    used = {value for value in style.SETTINGS.values() if isinstance(value, str) and value.startswith("#")}
    assert used | set(style.SERIES) <= palette.PROPERTIES.keys()
