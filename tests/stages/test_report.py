from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.models.architecture import Model
from nnpipe.stages import report as report_stage
from nnpipe.stages.report import Report, report, template_digest
from nnpipe.stages.report_spec import spec_text
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.store import Store

HOSTILE = "<script>alert('x')</script>"
MODEL = Model.model_validate(
    {
        "layers": [
            {"kind": "flatten"},
            {"kind": "dense", "units": 5, "activation": "sigmoid"},
            {"kind": "dense", "units": 3, "activation": "softmax"},
        ]
    }
)
DOCUMENT = {
    "architecture": MODEL.model_dump(mode="json"),
    "input_shape": [1, 4, 4],
    "scaling": {"offset": 0.0, "scale": 16.0},
    "class_names": ["zero", HOSTILE, "two & a half"],
}
SPEC = {
    "version": 1,
    "name": "small",
    "seed": 7,
    "data": {"source": {"kind": "digits"}, "validation": None},
    "model": {"layers": [{"kind": "flatten"}, {"kind": "dense", "units": 5}]},
    "train": {"optimizer": {"kind": "adam", "betas": [0.9, 0.999]}},
}
MADE = {
    "seconds": 1.5,
    "at": "2026-01-02T03:04:05+00:00",
    "device": "cpu",
    "environment": {"python": "3.12.1", "versions": {"torch": "2.15.0"}, "system": "Linux x86_64", "cpus": 2},
    "timings": {"epochs": [{"epoch": 1, "seconds": 0.5, "examples": 100}]},
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """A page parsed strictly: every element closed in order; texts, references and identifiers kept."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


class Bench:
    """Artifacts of a small run, and the report on them."""

    def __init__(self, root: Path, *, made: Mapping[str, Any] = MADE, pretrained: bool = True) -> None:
        self.root, self.made, self.store = root, made, Store(root / "artifacts")
        self.store.prepare()
        fills = {"data": _data, "model": _model, "evaluation": _evaluation, "pictures": _pictures, "exports": _exports}
        if pretrained:
            fills["pretrain/1"] = _pretrained
        self.inputs = {name: self.make(name, fill) for name, fill in fills.items()}

    def make(self, name: str, fill: Any) -> Artifact:
        with self.store.output(name.replace("/", "-")) as output:
            checkpoints = DiskCheckpoints(self.root / "checkpoints", 60)
            fill(Work(name, getattr(self, "inputs", {}), output, seed=0, root=self.root, checkpoints=checkpoints))
            record = self.store.commit(output, name.replace("/", "-"), name, {}, dict(self.made))
        return self.store.artifact(record.artifact, record.made)

    def html(self, **changes: Any) -> str:
        return self.report(**changes).path("report.html").read_text(encoding="utf-8")

    def report(self, **changes: Any) -> Artifact:
        facts = {"name": "small", "description": "A small run.", "spec": SPEC, "template": template_digest()}
        facts |= {"model": MODEL, **changes}
        return self.make("report", lambda work: report(Report(**facts), work))


def _data(work: Work) -> None:
    rng = np.random.default_rng(0)
    counts = {"train": [4, 4, 4], "validation": [0, 0, 0], "test": [3, 3, 3]}
    with work.output.arrays("data") as writer:
        for split in ("train", "test"):
            labels = np.arange(sum(counts[split])) % 3
            writer.allocate(f"X_{split}", (len(labels), 1, 4, 4), "uint8")
            writer.append(f"X_{split}", rng.integers(0, 17, (len(labels), 1, 4, 4)).astype(np.uint8))
            writer.allocate(f"y_{split}", labels.shape, "int64")
            writer.append(f"y_{split}", labels)
        writer.attributes = {"source": "digits"}
    work.output.summary = {
        "input_shape": [1, 4, 4],
        "classes": 3,
        "class_names": DOCUMENT["class_names"],
        "value_range": [0, 16],
        "examples": {split: sum(numbers) for split, numbers in counts.items()},
        "statistics": {"mean": 8.0, "std": 4.0, "min": 0.0, "max": 16.0},
        "class_counts": counts,
    }


def _pretrained(work: Work) -> None:
    work.output.json("history", [])
    work.output.summary = {"method": "rbm", "visible": 16, "hidden": 5, "epochs": 4, "reconstruction_error": 0.125}


def _model(work: Work) -> None:
    shapes = {"layers.1.weight": (5, 16), "layers.1.bias": (5,), "layers.2.weight": (3, 5), "layers.2.bias": (3,)}
    work.output.tensors("model", {name: np.ones(shape, np.float32) for name, shape in shapes.items()}, DOCUMENT)
    measures = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.625, "val_accuracy": 0.5}
    work.output.summary = {"parameters": 103, "epochs": 6, "stopped": "epochs", **measures, "best_val_accuracy": 0.5}


def _evaluation(work: Work) -> None:
    rows = [
        {"name": name, "precision": 0.75, "recall": 1.0, "f1": 0.857, "support": 3} for name in DOCUMENT["class_names"]
    ]
    confusion = [[3, 0, 0], [1, 2, 0], [0, 0, 3]]
    mistake = {"index": 4, "truth": HOSTILE, "predicted": "zero", "probability": 0.75}
    metrics = {"test_accuracy": 8 / 9, "test_loss": 0.625, "test_macro_f1": 0.857}
    found = {
        **metrics,
        "examples": 9,
        "intervals": {"test_accuracy": [0.7, 1.0], "test_loss": [0.5, 0.75]},
        "confusion_matrix": confusion,
        "per_class": rows,
        "scores": "distribution",
        "confident_mistakes": [mistake],
    }
    work.output.json("evaluation", found)
    work.output.summary["metrics"] = metrics


def _pictures(work: Work) -> None:
    work.output.file("filters.png", PNG)
    words = {"title": "Filters", "caption": f"Seen: {HOSTILE}", "alt": f'A "grid" of {HOSTILE}'}
    work.output.json("pictures", [{"name": "filters", "file": "filters.png", **words}])


def _exports(work: Work) -> None:
    listed = [
        {
            "kind": "onnx",
            "part": "whole",
            "preprocessing": "metadata",
            "file": "model.onnx",
            "loading": 'onnxruntime.InferenceSession("model.onnx")',
            "bytes": 1749928,
            "sha256": "ab" * 32,
            "verified": True,
            "examples": 1234,
            "largest_difference": 1e-06,
            "same_classes": 1.0,
            "accuracy": 0.75,
            "accuracy_of_network": 0.7625,
        },
        {
            "kind": "of_tomorrow",
            "part": "whole",
            "preprocessing": "metadata",
            "file": "model.new",
            "loading": "tomorrow.open()",
            "bytes": 12,
            "sha256": "cd" * 32,
            "verified": False,
            "examples": 0,
            "largest_difference": None,
            "same_classes": None,
            "accuracy": None,
            "accuracy_of_network": None,
        },
    ]
    work.output.json("exports", listed)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_report_tells_what_was_done_and_what_came_out(bench: Bench) -> None:
    text = Page(bench.html()).text
    for sentence in (
        "trained to tell 3 classes apart in the data set digits , from images of 4 by 4 pixels.",
        "Its first dense layer was pretrained without labels (rbm)",
        "the whole network of 103 parameters was trained on 12 labelled examples for 6 epochs.",
        "On 9 test examples, from which nothing was learnt, it is right 8 times and wrong 1 time: an accuracy of",
        "There is no validation split",
        "200 examples a second",
        "16 → 5 units, rbm, 4 epochs",
        "reconstruction error 0.125",
        "units 5, sigmoid",
        "1.7 MB on 1,234 examples 1e-06 75.00% · the network 76.25% onnxruntime.InferenceSession",
        "12 bytes no, not run here – tomorrow.open()",  # noqa: RUF001 - a dash is meant
        "of each raw value 0 is subtracted, then it is divided by 16",
        "nnpipe run small.yaml",
        "All randomness comes from its seed, 7",
        "Python 3.12.1, torch 2.15.0",
        "computed 2026-01-02 03:04:05 UTC",
        "Accuracy 0.8889 0.7 to 1",
        "70.00% to 100.00%",
        "zero 0.7500",
    ):
        assert sentence in text
    assert all(artifact.id in text for artifact in bench.inputs.values())


def test_the_report_parses_and_every_anchor_leads_somewhere(bench: Bench) -> None:
    page = Page(bench.html())
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    anchors = [attributes["href"] for attributes in page.named("a")]
    assert (
        {f"#{name}" for name in identifiers} >= set(anchors) > {"#data", "#pretraining", "#picture-filters", "#inside"}
    )
    assert page.named("html")[0]["lang"] == "en"
    assert [attributes.get("alt") is not None for attributes in page.named("img")] == [True] * 5
    scrolling = [a for tag, a in page.elements if a.get("class") == "scroll" or tag == "pre"]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") and a.get("role") for a in scrolling)


def test_the_report_loads_nothing_from_anywhere(bench: Bench) -> None:
    html = bench.html()
    assert not re.search(r"https?://|url\(|@import|src=\"//", html)
    page = Page(html)
    references = [a.get("src") or a.get("href") or "" for tag, a in page.elements if tag in ("img", "link", "a")]
    assert all(reference.startswith(("data:", "#")) for reference in references)
    assert page.named("script") == page.named("iframe") == []
    policy = next(a for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")


def test_hostile_names_are_shown_and_never_run(bench: Bench) -> None:
    html = bench.html(description=HOSTILE, spec={"name": HOSTILE})
    page = Page(html)
    assert "<script" not in html
    assert page.text.count(HOSTILE) >= 5, "data, results, caption, description and spec"
    assert page.named("img")[-1]["alt"] == f'A "grid" of {HOSTILE}'


def test_the_report_fits_telephones_paper_and_dark_rooms(bench: Bench) -> None:
    html = bench.html()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert len(html) < 10_000_000


def test_what_an_earlier_run_had_computed_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, made={**MADE, "run": "of-yesterday"})
    assert "by an earlier run" not in Page(bench.html()).text
    bench.made = {**MADE, "run": "of-today", "at": "2026-01-03T00:00:00+00:00"}
    bench.inputs["pictures"] = bench.make("pictures-again", _pictures)
    page = Page(bench.html())
    assert page.text.count("· by an earlier run") == len(bench.inputs) - 1
    boxes = [attributes.get("class") for tag, attributes in page.elements if tag == "g"]
    assert boxes.count("earlier") == 2 * (len(bench.inputs) - 1), "in the graph to the right and in the one downwards"


def test_the_graph_is_told_to_whoever_cannot_see_it(tmp_path: Path) -> None:
    page = Page(Bench(tmp_path).html())
    labels = [a["aria-label"] for a in page.named("svg") if str(a.get("class")).startswith("graph")]
    assert len(set(labels)) == 1
    assert str(labels[0]).startswith("data, pretrain/1, model, evaluation, pictures, exports, report: an arrow leads")


def test_the_report_does_without_times_environment_and_pretraining(tmp_path: Path) -> None:
    page = Page(Bench(tmp_path, made={}, pretrained=False).html(description=""))
    assert "#pretraining" not in [attributes["href"] for attributes in page.named("a")]
    assert "Computing time" not in page.text
    assert "an accuracy of 88.89%" in page.text
    assert "The network of 103 parameters in 2 layers was trained" in page.text


def test_only_times_differ_between_reports_of_identical_runs(tmp_path: Path) -> None:
    later = {**MADE, "seconds": 99.0, "at": "2027-12-31T00:00:00+00:00"}
    first, second = Bench(tmp_path / "first").report(), Bench(tmp_path / "second", made=later).report()
    pages = [made.path("report.html").read_text(encoding="utf-8") for made in (first, second)]
    assert pages[0] != pages[1]
    assert _without_times(pages[0]) == _without_times(pages[1])
    assert first.manifest.content == second.manifest.content


def _without_times(html: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d+ min \d+ s|[\d.]+ s\b|width:[\d.]+%", "time", html)


def test_the_spec_is_shown_as_yaml_that_says_the_same() -> None:
    from ruamel.yaml import YAML

    text = spec_text(SPEC)
    assert YAML(typ="safe").load(text) == SPEC
    assert "source: {kind: digits}" in text
    assert "validation: null" in text
    assert text.index("seed") < text.index("data")


def test_another_template_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = template_digest()
    assert before == template_digest()
    for path in report_stage.TEMPLATES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(report_stage, "TEMPLATES", tmp_path)
    assert template_digest() == before
    (tmp_path / "report.css").write_text("body { color: red; }")
    assert template_digest() != before
