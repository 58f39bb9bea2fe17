from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from nnpipe.plots import every_picture, style
from nnpipe.plots.picture import Section
from nnpipe.stages import report_pictures
from nnpipe.stages.report_pictures import SECTIONS, pictures_of, sections
from nnpipe.store.artifact import Artifact

from .test_report import Bench

WORDS = {"title": "A title", "caption": "A caption.", "alt": "What it shows"}


def figure(*heights: float) -> Any:
    made = style.new_figure(1)
    made.subplots().plot(heights, color=style.BLUE)
    return made


def pictures(root: Path, **files: bytes) -> Artifact:
    """An artifact of pictures: ``a_png=...`` is the file a.png of the picture a."""

    def fill(work: Any) -> None:
        names = dict.fromkeys(name.rpartition("_")[0] for name in files)
        for name, data in files.items():
            work.output.file(name[::-1].replace("_", ".", 1)[::-1], data)
        entries = [{"name": n, "kind": n, "file": f"{n}.png", "plot": f"{n}_svg" in files, **WORDS} for n in names]
        work.output.json("pictures", entries)

    return Bench(root).make("pictures", fill)


def decoded(url: str) -> bytes:
    return base64.b64decode(url.removeprefix("data:image/png;base64,"))


def test_a_plot_is_shown_as_svg_and_others_as_png(tmp_path: Path) -> None:
    png = style.png(figure(0, 1))
    plot, image = pictures_of(pictures(tmp_path, a_png=png, a_svg=style.svg(figure(0, 1), "a"), b_png=png))
    assert plot["svg"].startswith("<svg")
    assert plot["url"] is None
    assert image["svg"] is None
    assert decoded(image["url"]) == png
    assert plot["ratio"] == pytest.approx(4.8, rel=0.01)
    assert image["ratio"] == pytest.approx(4.8, rel=0.01)
    assert (plot["anchor"], image["anchor"]) == ("picture-a", "picture-b")


def test_a_large_svg_is_shown_as_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pictures, "LARGEST_SVG", 1000)
    made = pictures(tmp_path, a_png=style.png(figure(0, 1)), a_svg=style.svg(figure(0, 1), "a"))
    assert pictures_of(made)[0]["svg"] is None


def test_a_film_has_its_last_picture_beside_it_for_those_who_want_none(tmp_path: Path) -> None:
    film = style.animated_png([figure(0, 1), figure(1, 0), figure(1, 1)])
    (shown,) = pictures_of(pictures(tmp_path, a_png=film))
    assert decoded(shown["url"]) == film
    with Image.open(io.BytesIO(decoded(shown["still"]))) as still, Image.open(io.BytesIO(film)) as whole:
        whole.seek(2)
        assert getattr(still, "n_frames", 1) == 1
        assert still.convert("RGB").tobytes() == whole.convert("RGB").tobytes()


def test_of_a_large_film_only_the_last_picture_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pictures, "LARGEST_FILM", 1000)
    (shown,) = pictures_of(pictures(tmp_path, a_png=style.animated_png([figure(0, 1), figure(1, 0)])))
    assert shown["still"] is None
    assert b"acTL" not in decoded(shown["url"])[:100]


def test_every_section_of_pictures_has_a_heading_and_every_picture_a_section() -> None:
    assert set(SECTIONS) == set(get_args(Section))
    assert {picture.section for picture in every_picture()} <= set(SECTIONS)


def test_pictures_stand_together_by_section_and_none_is_lost() -> None:
    there = ["results", "weights", "results", "of tomorrow"]
    found = sections({"name": str(n), "section": section} for n, section in enumerate(there))
    told = {section: [picture["name"] for picture in shown] for section, shown in found.items() if shown}
    assert told == {"results": ["0", "2"], "weights": ["1"], "inside": ["3"]}
    assert list(found) == list(SECTIONS)
