from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nnpipe.cli import main

from .conftest import SPEC

LONGER = "tiny-longer"


@pytest.fixture(scope="session")
def two(computed, tmp_path_factory):
    """The store of ``computed`` with a second run, of another spec; read only."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(computed / "artifacts", folder / "artifacts")
    (folder / "longer.yaml").write_text(SPEC.replace("name: tiny", f"name: {LONGER}").replace("visualize: []\n", ""))
    words = ["run", "longer.yaml", "--set", "train.epochs=3", "--set", "visualize=[learning_curves, decision_boundary]"]
    words[1] = str(folder / "longer.yaml")
    assert main([*words, "--store", str(folder / "artifacts"), "--engine", "local", "--quiet"]) == 0
    return folder


@pytest.fixture
def here(two, tmp_path, monkeypatch):
    shutil.copytree(two, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_two_runs_side_by_side_are_a_page_in_this_folder_whose_links_lead_to_their_reports(nnpipe, here):
    answer = nnpipe("report", "tiny", f"{LONGER}/latest")
    assert (answer.status, answer.out) == (0, "compare-tiny-tiny-longer-latest.html\n")
    html = (here / answer.out.strip()).read_text()
    assert "train.epochs" in html
    links = re.findall(r'href="(artifacts[^"]+)"', html)
    assert len(links) == 2
    assert all((here / link).is_file() for link in links)


def test_a_page_is_written_where_it_is_wanted_and_replaces_nothing_unless_told_to(nnpipe, here):
    (here / "pages").mkdir()
    words = ("report", "tiny", LONGER, "--out", here / "pages" / "both.html")
    assert nnpipe(*words).status == 0
    html = (here / "pages" / "both.html").read_text()
    assert all((here / "pages" / link).is_file() for link in re.findall(r'href="(\.\./[^"]+)"', html))
    again = nnpipe(*words)
    assert again.status == 2
    assert "--overwrite replaces it" in again.err
    assert nnpipe(*words, "--overwrite").status == 0


def test_the_index_lists_all_runs_the_last_one_first_and_can_be_copied_with_its_store(nnpipe, here):
    assert nnpipe("report", "--index").out == "artifacts/index.html\n"
    assert nnpipe("report", "--index").status == 0, "it is made anew"
    shutil.move("artifacts", "elsewhere")
    page = Path("elsewhere/index.html")
    html = page.read_text()
    names = re.findall(r'<h2><a href="[^"]+">([^<]+)</a></h2>', html)
    assert names == [LONGER, "tiny"]
    files = re.findall(r'(?:href|src)="(objects[^"]+)"', html)
    assert [Path(file).name for file in files] == ["decision_boundary.png", "report.html", "report.html"]
    assert all((page.parent / file).is_file() for file in files)
    assert "accuracy 0." in html


def test_a_store_with_an_index_is_as_sound_as_without(nnpipe, here):
    assert nnpipe("report", "--index").status == 0
    assert nnpipe("verify").status == 0
    assert nnpipe("gc").status == 0
    assert Path("artifacts/index.html").is_file()


def test_the_index_tells_of_a_run_that_failed_and_of_a_report_that_is_gone(nnpipe, here):
    for path in Path("artifacts/runs").glob(f"*-{LONGER}-*.json"):
        run = json.loads(path.read_text())
        path.write_text(
            json.dumps({**run, "status": "failed", "error": "<b>no room</b>", "stages": [], "report": None})
        )
    report = next(Path("artifacts/objects").glob("*/*/report.html"))
    shutil.rmtree(report.parent)
    html = Path(nnpipe("report", "--index").out.strip()).read_text()
    assert "<strong>failed</strong>: &lt;b&gt;no room&lt;/b&gt;" in html
    assert "0 of 0" not in html
    assert html.count('report.html"') <= 1


def test_an_index_of_no_runs_says_so(nnpipe, here):
    for run in Path("artifacts/runs").iterdir():
        run.unlink()
    assert "There is no run yet." in Path(nnpipe("report", "--index").out.strip()).read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no page is asked for"),
        (("--index", "tiny"), "--index is about all runs"),
        (("tiny", "tiny/latest"), "the same run twice"),
        (("tiny", "tiny"), "the same run twice"),
        (("a", "b", "c", "d", "e"), "nnpipe sweep compares many runs"),
        (("tiny", "tony"), "nothing is called 'tony'"),
        (("tiny", "--out", "a.html"), "leave --out away"),
        (("tiny", LONGER, "--out", "nowhere/a.html"), "no place for a file"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(nnpipe, here, words, told):
    answer = nnpipe("report", *words)
    assert answer.status == 2
    assert told in answer.err
    assert not list(here.glob("*.html"))


def test_a_run_without_a_report_cannot_be_compared(nnpipe, here):
    report = next(Path("artifacts/objects").glob("*/*/report.html"))
    shutil.rmtree(report.parent)
    answer = nnpipe("report", "tiny", LONGER)
    assert answer.status == 2
    assert "came to its report" in answer.err


def test_damage_is_told_as_damage(nnpipe, here):
    for path in Path("artifacts/objects").glob("*/*/pictures.json"):
        path.write_text("[]  ")
    answer = nnpipe("report", "tiny", LONGER)
    assert answer.status == 3
    assert "damaged" in answer.err
