"""Cards for notebooks: whole, escaped, without anything from elsewhere; of every object that has one."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnpipe
from nnpipe.card import Image, Table, card, shown
from nnpipe.store.artifact import Artifact, Manifest

HOSTILE = "<script>alert('x')</script> \"quoted\" & more"
SPEC = {
    "version": 1,
    "name": "small",
    "description": HOSTILE,
    "data": {"source": "digits", "validation": 0.1},
    "model": {
        "layers": [
            {"kind": "conv2d", "filters": 4, "kernel": 3, "activation": "relu"},
            {"kind": "flatten"},
            {"kind": "dense", "units": 10, "activation": "softmax"},
        ]
    },
    "train": {"optimizer": {"kind": "adam"}, "epochs": 1, "batch_size": 100},
    "visualize": ["learning_curves"],
}


class Checked(HTMLParser):
    """Checks that every element is closed by its own end, and gathers text, elements and what they refer to."""

    VOID = ("img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(thing: Any) -> Checked:
    html = thing if isinstance(thing, str) else thing._repr_html_()
    found = Checked(html)
    assert not {"script", "style", "link", "iframe"} & set(found.tags)
    assert not any(re.match("(https?:)?//", link) for link in found.links)
    # The theme's colours are the page's: of its own it has a translucent grey for lines.
    assert set(re.findall(r"(?<![-\w])(?:color|background):\s*([^;\"]+)", html)) <= {"inherit", "none"}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cards")


@pytest.fixture(scope="module")
def run(folder: Path) -> nnpipe.Run:
    return nnpipe.run(SPEC, store=folder / "my store", engine="local", device="cpu", threads=1)


def test_a_spec_shows_its_network_and_its_yaml() -> None:
    found = checked(nnpipe.read_spec(SPEC))
    assert "conv2d filters 4, kernel 3×3" in found.text  # noqa: RUF001
    assert "4×6×6 40 flatten" in found.text  # noqa: RUF001
    assert "144" in found.text
    assert "10 1,450" in found.text  # 144 * 10 + 10
    assert "kind: digits" in found.text
    assert "alert('x')" in found.text


def test_a_spec_whose_data_lie_elsewhere_shows_what_it_says_itself(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", X=np.zeros((20, 1, 8, 8)), y=np.arange(20) % 10)
    data = {"source": {"kind": "arrays", "path": "my.npz", "images": "X", "labels": "y"}}
    found = checked(nnpipe.read_spec({**SPEC, "data": data}, root=tmp_path))
    assert "conv2d filters 4" in found.text
    assert "4×6×6" not in found.text  # noqa: RUF001


def test_a_plan_shows_every_stage_and_what_would_become_of_it(folder: Path, run: nnpipe.Run) -> None:
    found = checked(nnpipe.plan(SPEC, store=folder / "my store", set={"train.epochs": 2}))
    assert "plan: 5 of 6 stages to do" in found.text
    assert re.search(rf"ingest reuse \w{{12}} {run.artifact('ingest').id[:12]}", found.text)
    assert "finetune compute" in found.text
    assert "nothing to do" in checked(nnpipe.plan(SPEC, store=folder / "my store")).text


def test_a_run_shows_measures_stages_a_picture_and_its_report(run: nnpipe.Run) -> None:
    found = checked(run)
    assert f"Accuracy {run.metrics['test_accuracy']:.4g}" in found.text
    for stage in run.stages:
        assert f"{stage.name} computed" in found.text
        assert stage.artifact[:12] in found.text
    assert "1,490 parameters, 1 epoch" in found.text
    image, report = found.links
    assert image.startswith("data:image/png;base64,")
    assert report == Path(str(run.report)).resolve().as_uri()
    assert "%20" in report


def test_a_report_below_the_notebook_is_linked_from_there(
    run: nnpipe.Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert checked(run).links[-1].startswith("my%20store/objects/")


def test_an_artifact_shows_its_stage_files_and_summary(run: nnpipe.Run) -> None:
    artifact = run.artifact("finetune")
    found = checked(artifact)
    assert artifact.id[:12] in found.text
    assert artifact.manifest.content[:12] in found.text
    assert "parameters 1,490" in found.text
    assert f"model.safetensors {artifact.manifest.files['model.safetensors'][0]:,}" in found.text


def test_names_that_others_chose_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    files = {f"{HOSTILE}{n}": (n, "0" * 64) for n in range(100)}
    manifest = Manifest("ingest", "0" * 64, {}, files, {"class_names": [HOSTILE] * 20, HOSTILE: {HOSTILE: None}})
    found = checked(Artifact("1" * 64, tmp_path, manifest))
    assert found.text.count(HOSTILE) == 12 + 12 + 2
    assert "… 88 more 4,884" in found.text  # 12 + 13 + ... + 99


def test_a_sweep_shows_its_table_what_failed_and_its_report(folder: Path) -> None:
    done = nnpipe.sweep(
        {**SPEC, "matrix": {"train.epochs": [1, 2], "seed": [0, 1]}, "visualize": []},
        store=folder / "my store", device="cpu", threads=1,
    )  # fmt: skip
    found = checked(done)
    assert "sweep of small, 4 runs" in found.text
    assert "epochs test accuracy test loss" in found.text
    assert f"2 {done.rows[1].measures['test_accuracy']}" in found.text
    assert len(found.links) == 1


def test_a_run_whose_artifacts_are_gone_is_still_shown(run: nnpipe.Run, tmp_path: Path) -> None:
    from dataclasses import replace

    found = checked(replace(run, store=nnpipe.api.open_store(tmp_path), report=None))  # type: ignore[attr-defined]
    assert "finetune computed" in found.text
    assert "gone" in found.text
    assert found.links == []


def test_everything_on_a_card_is_escaped() -> None:
    found = checked(
        card(
            HOSTILE,
            HOSTILE,
            facts={HOSTILE: HOSTILE},
            tables=[Table((HOSTILE,), [(HOSTILE,)]), Table(("unseen",), [])],
            image=Image(b"png", HOSTILE),
            report=HOSTILE,
            more={HOSTILE: HOSTILE},
        )
    )
    assert found.text.count(HOSTILE) == 9
    assert "unseen" not in found.text


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (None, "–"),  # noqa: RUF001
        (True, "yes"),
        ([1, "a"], "[1, a]"),
        ({"a_b": [0.5]}, "a b [0.5]"),
        (list(range(13)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]"),
    ],
)
def test_values_are_shown_in_a_line(value: Any, wanted: str) -> None:
    assert shown(value) == wanted


def test_planning_loads_no_template_engine() -> None:
    program = f"import sys, nnpipe; nnpipe.plan({SPEC!r}); sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
