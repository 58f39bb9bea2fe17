"""Reports as a browser shows them: at two widths, in light and in dark, with the keyboard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnpipe import run
from nnpipe.plots import style
from nnpipe.stages.work import Work

from .browser import CHROMIUM, Browser, browser
from .test_report import HOSTILE, Bench

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open reports with")

SOFTMAX = {"kind": "dense", "units": 10, "activation": "softmax"}
SIGMOID = {"kind": "dense", "units": 12, "activation": "sigmoid"}
COMMON = {"version": 1, "data": {"source": {"kind": "digits"}, "validation": 0.1}, "export": []}
TRAIN = {"loss": "cross_entropy", "optimizer": {"kind": "sgd", "learning_rate": 0.1}, "epochs": 2, "batch_size": 100}
SPECS = {
    "convolutions": {
        "model": {
            "layers": [
                {"kind": "conv2d", "filters": 4, "kernel": 3, "activation": "relu"},
                {"kind": "max_pool2d", "size": 2},
                {"kind": "flatten"},
                SOFTMAX,
            ]
        },
        "train": TRAIN,
        "visualize": ["learning_curves", "confusion_matrix", "reliability_diagram", "filters"],
    },
    "belief-net": {
        "model": {"layers": [SIGMOID, SIGMOID, {"kind": "classification_rbm", "hidden": 20, "classes": 10}]},
        "pretrain": {
            "method": {"kind": "rbm"},
            "epochs": 1,
            "batch_size": 100,
            "optimizer": {"kind": "sgd", "learning_rate": 0.1},
        },
        "train": {**TRAIN, "algorithm": {"kind": "up_down"}},
        "visualize": ["pretraining_curves", "dbn_samples"],
    },
}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module", params=[*SPECS, "film"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report: of a small network, or of made-up artifacts with hostile names and a film."""
    folder, name = tmp_path_factory.mktemp("store"), request.param
    if name == "film":
        (folder / "film.html").write_text(with_film(folder))
        return folder / "film.html"
    made = run({**COMMON, **SPECS[name], "name": name}, store=folder, engine="local", threads=1)
    assert made.report is not None
    return Path(made.report)


def with_film(root: Path) -> str:
    bench = Bench(root)

    def pictures(work: Work) -> None:
        figures = [style.new_figure(2) for _ in range(3)]
        for place, figure in enumerate(figures):
            figure.subplots().plot([0, place])
        work.output.file("film.png", style.animated_png(figures))
        words = {"title": "Film", "caption": HOSTILE * 3, "alt": "It moves"}
        work.output.json(
            "pictures", [{"name": "film", "kind": "film", "section": "weights", "file": "film.png", **words}]
        )

    bench.inputs["pictures"] = bench.make("pictures", pictures)
    return bench.html(description=HOSTILE * 3)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_whole_and_as_wide_as_the_window_and_asks_for_nothing(
    chromium: Browser, page: Path, width: int, dark: bool
) -> None:
    chromium.open(page, width=width, dark=dark)
    assert chromium.messages == []
    asked = [address for address in chromium.requests if not address.startswith("data:")]
    assert asked == [page.resolve().as_uri()]
    assert chromium.value("document.documentElement.scrollWidth <= innerWidth")
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert chromium.value(broken) == 0
    seen = chromium.value("getComputedStyle(document.body).backgroundColor")
    assert seen == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_a_plot_has_the_colours_of_the_page(chromium: Browser, page: Path) -> None:
    letters = "[...document.querySelectorAll('svg.plot:not(.card) text')].map(t => getComputedStyle(t).fill)"
    grey = ("rgb(31, 35, 40)", "rgb(227, 231, 235)")
    for dark in (False, True):
        chromium.open(page, dark=dark)
        found = set(chromium.value(letters))
        assert not found or grey[dark] in found
        assert grey[not dark] not in found


@pytest.mark.parametrize("width", [390, 1280])
def test_every_picture_enlarges_by_keyboard_and_pointer_and_escape_closes_it(
    chromium: Browser, page: Path, width: int
) -> None:
    chromium.open(page, width=width)
    opened = "document.querySelectorAll(':popover-open').length"
    figures = chromium.value("[...document.querySelectorAll('figure')].map(f => f.id)")
    assert figures
    for figure in figures:
        before = chromium.value(shown(figure, "width"))
        chromium.value(f"document.querySelector('#{figure} button').focus()")
        chromium.press("Enter")
        assert chromium.value(opened) == 1
        assert chromium.value(shown(figure, "width")) > before
        chromium.press("Escape")
        assert chromium.value(opened) == 0
        assert chromium.value("document.activeElement.closest('figure').id") == figure
    chromium.value(f"document.querySelector('#{figures[0]}').scrollIntoView()")
    chromium.click(chromium.value(shown(figures[0], "left")) + 3, chromium.value(shown(figures[0], "top")) + 3)
    assert chromium.value(opened) == 1


def shown(figure: str, what: str) -> str:
    """The size or place of a figure's picture, in pixels."""
    return f"document.querySelector('#{figure} :is(.plot, img)').getBoundingClientRect().{what}"


def test_a_film_stops_when_told_to_and_does_not_begin_where_motion_is_not_wanted(
    chromium: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "film.html"
    page.write_text(with_film(tmp_path))
    seen = "[...document.querySelectorAll('.film, .still')].filter(i => i.offsetWidth).map(i => i.className).join()"
    for still in (False, True):
        chromium.open(page, still=still)
        assert chromium.value(seen) == ("still" if still else "film")
        chromium.value("document.querySelector('.picture input').click()")
        assert chromium.value(seen) == ("film" if still else "still")


def test_on_paper_it_is_light_and_has_no_buttons(chromium: Browser, page: Path) -> None:
    chromium.open(page, dark=True, media="print")
    assert chromium.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.value("[...document.querySelectorAll('nav, button, label, .film')].every(e => !e.offsetWidth)")
    assert chromium.value("document.querySelectorAll('figure').length") > 0


def test_whoever_cannot_see_is_told_the_parts_and_the_pictures(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    tree: list[dict[str, Any]] = chromium.ask("Accessibility.getFullAXTree")["nodes"]
    parts = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    roles = [role for role, _ in parts]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(landmark) == 1
    assert all(name for role, name in parts if role in ("image", "button", "link", "checkbox"))
    levels = chromium.value("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
