from __future__ import annotations

import shutil
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file


def test_an_export_holds_the_trained_weights(nnpipe, copied):
    answer = nnpipe("export", "tiny", "--format", "safetensors", "--out", "out.safetensors")
    assert (answer.status, answer.out) == (0, "out.safetensors\n")
    kept = load_file(next(copied.glob("artifacts/objects/*/*/history.json")).with_name("model.safetensors"))
    exported = load_file("out.safetensors")
    assert {array.tobytes() for array in exported.values()} == {array.tobytes() for array in kept.values()}
    assert all(array.dtype == np.float32 for array in exported.values())
    assert not [path for path in copied.iterdir() if path.name.startswith(".")]


def test_an_export_is_run_on_the_test_examples_and_stands_beside_its_card(nnpipe, copied):
    answer = nnpipe("export", "tiny", "--format", "onnx", "--out", "tiny.onnx")
    (told,) = answer.err.splitlines()
    assert told.startswith(
        "verified on 12 test examples: outputs differ from the network's by at most 1e-06, accuracy "
    )
    card = Path("tiny.onnx.md").read_text(encoding="utf-8")
    accuracy = nnpipe("ls", "--json").json["runs"][0]["metrics"]["test_accuracy"]
    for text in (
        "onnxruntime.InferenceSession('tiny.onnx')",
        f"{told[0].upper()}{told[1:]}.\n",
        "From the source `two_classes`. Examples of 2 classes: 48 train, 12 test.",
        "- loss: `mean_squared_error`",
        "- optimizer: `sgd {learning_rate: 0.5",
        f"| Accuracy | {accuracy:.4g} | ",
        "- licence: Not stated.",
    ):
        assert text in card
    files = [path.name for path in copied.iterdir() if path.name.startswith("tiny")]
    assert sorted(files) == ["tiny.onnx", "tiny.onnx.md", "tiny.yaml"]


def test_the_card_beside_an_export_is_the_one_that_the_run_left(nnpipe, copied):
    card = "card={intended_use: For teaching., licence: MIT, authors: [A. Nobody]}"
    assert nnpipe("run", "tiny.yaml", "--engine", "local", "--quiet", "--set", card).status == 0
    assert nnpipe("export", "tiny", "--format", "safetensors", "--out", "model.safetensors").status == 0
    left = [
        path for path in copied.glob("artifacts/objects/*/*/model_card.md") if "> For teaching." in path.read_text()
    ]
    assert [path.read_text() for path in left] == [Path("model.safetensors.md").read_text()]


def test_an_export_can_do_without_a_card(nnpipe, copied):
    Path("out.h5.md").write_text("mine")
    answer = nnpipe("export", "tiny", "--format", "weights_h5", "--out", "out.h5", "--no-card")
    assert (answer.status, answer.out) == (0, "out.h5\n")
    assert Path("out.h5.md").read_text() == "mine"


def test_without_its_data_an_export_is_not_verified(nnpipe, copied):
    shutil.rmtree(next(Path("artifacts/objects").glob("*/*/data.h5")).parent)
    for evaluation in Path("artifacts/objects").glob("*/*/evaluation.json"):
        shutil.rmtree(evaluation.parent)
    answer = nnpipe("export", "tiny", "--format", "safetensors", "--out", "out.safetensors")
    assert (answer.status, answer.out) == (0, "out.safetensors\n")
    assert answer.err == "not verified: its data are no longer in the store\n"
    card = Path("out.safetensors.md").read_text(encoding="utf-8")
    assert "\nNot verified.\n" in card
    assert "## Data\n\nNot known.\n\n" in card
    assert "## Results\n\nNot known.\n\n" in card
    assert "- optimizer: `sgd " in card, "the record of the export tells it"


@pytest.mark.parametrize("there", ["out.safetensors", "out.safetensors.md"])
def test_an_export_never_overwrites_unasked(nnpipe, copied, there):
    Path(there).write_text("mine")
    words = ("export", "tiny", "--format", "safetensors", "--out", "out.safetensors")
    answer = nnpipe(*words)
    assert answer.status == 2
    assert "--overwrite" in answer.err
    assert Path(there).read_text() == "mine"
    assert nnpipe(*words, "--overwrite").status == 0
    assert load_file("out.safetensors")
    assert Path("out.safetensors.md").read_text(encoding="utf-8").startswith("---\n")


def test_a_file_that_computes_something_else_is_not_left(nnpipe, copied, monkeypatch):
    monkeypatch.setattr("nnpipe.exporters.verification.largest_difference", lambda *_: 1.0)
    answer = nnpipe("export", "tiny", "--format", "safetensors", "--out", "out.safetensors")
    assert answer.status == 1
    assert "the safetensors file does not compute what the network computes" in answer.err
    assert not list(copied.glob("out.safetensors*"))


@pytest.mark.parametrize(
    ("format_", "out", "told"),
    [("onx", "a.onnx", "'onnx'"), ("onnx", "nowhere/a.onnx", "no place for a file"), ("onnx", ".", "no place")],
)
def test_a_wrong_format_or_place_is_a_usage_error(nnpipe, copied, format_, out, told):
    answer = nnpipe("export", "tiny", "--format", format_, "--out", out)
    assert answer.status == 2
    assert told in answer.err


def test_what_is_no_network_cannot_be_exported(nnpipe, copied):
    data = next(Path("artifacts/objects").glob("*/*/data.h5")).parent.name
    answer = nnpipe("export", data[:12], "--format", "onnx", "--out", "a.onnx")
    assert answer.status == 2
    assert "an artifact of ingest" in answer.err


@pytest.mark.parametrize("name", ["tiny", "tiny/latest", "the run", "the data"])
def test_the_report_of_anything_in_a_run_is_found(nnpipe, here, monkeypatch, name):
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    if name == "the run":
        name = nnpipe("ls", "--json").json["runs"][0]["run"]
    elif name == "the data":
        name = next(Path("artifacts/objects").glob("*/*/data.h5")).parent.name
    answer = nnpipe("report", name, "--open")
    assert answer.status == 0
    assert Path(answer.out.strip()).name == "report.html"
    assert opened == [Path(answer.out.strip()).resolve().as_uri()]


def test_an_artifact_that_no_report_tells_of_is_a_usage_error(nnpipe, copied):
    for run in Path("artifacts/runs").iterdir():
        run.unlink()
    answer = nnpipe("report", "tiny")
    assert answer.status == 2
    assert "no report" in answer.err
