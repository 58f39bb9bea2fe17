"""Contrast as WCAG 2.2 asks for it: 4.5 for text (1.4.3), 3 for lines that tell something (1.4.11)."""

from __future__ import annotations

import re

import pytest

from nnpipe.plots.palette import PROPERTIES
from nnpipe.stages.report_page import TEMPLATES

CSS = (TEMPLATES / "report.css").read_text()
LIGHT, DARK, PRINT = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{3,6});", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)
SCHEMES = {"light": LIGHT, "dark": {**LIGHT, **DARK}, "print": {**LIGHT, **PRINT}}


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_contrast_is_that_of_the_definition() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey for text on white


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("paper", ["--paper", "--wash"])
@pytest.mark.parametrize("text", ["--ink", "--muted", "--accent"])
def test_text_can_be_read(scheme: str, paper: str, text: str) -> None:
    assert contrast(SCHEMES[scheme][text], SCHEMES[scheme][paper]) >= 4.5


@pytest.mark.parametrize("series", ["--blue", "--vermillion", "--green", "--purple", "--sky", "--orange"])
def test_every_line_of_a_plot_is_seen_on_dark_paper(series: str) -> None:
    assert contrast(SCHEMES["dark"][series], SCHEMES["dark"]["--paper"]) >= 4.5


def test_on_white_paper_plots_look_as_they_do_in_their_files() -> None:
    assert {name: LIGHT[name] for name in PROPERTIES.values()} == {name: c for c, name in PROPERTIES.items()}


def test_dark_paper_has_a_colour_for_each_of_a_plot() -> None:
    assert set(PROPERTIES.values()) <= DARK.keys()
