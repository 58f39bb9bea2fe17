from __future__ import annotations

import shutil
import webbrowser
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file
from sklearn.datasets import load_digits


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


STACK = """\
version: 1
name: stack
data: {source: digits}
model:
  layers:
    - {kind: dense, units: 20, activation: sigmoid}
    - {kind: dense, units: 5, activation: sigmoid}
    - {kind: dense, units: 10, activation: softmax}
pretrain: {method: rbm, epochs: 1}
train: {optimizer: adam, epochs: 1}
"""


@pytest.fixture
def pretrained(nnpipe, tmp_path, monkeypatch):
    """A folder with a store in which two layers were pretrained, as the current directory; the id of the second."""
    monkeypatch.chdir(tmp_path)
    Path("stack.yaml").write_text(STACK)
    answer = nnpipe("run", "stack.yaml", "--until", "pretrain/2", "--engine", "local", "--quiet", "--json")
    np.save("some.npy", load_digits().images[:4].astype(np.float32))
    return answer.json["stages"][-1]["artifact"][:12]


def test_pretrained_layers_leave_as_an_encoder_and_a_decoder_that_are_asked(nnpipe, pretrained):
    for part in ("encoder", "decoder", "whole"):
        answer = nnpipe("export", pretrained, "--format", "onnx", "--part", part, "--out", f"{part}.onnx")
        assert (answer.status, answer.out) == (0, f"{part}.onnx\n"), answer.err
    lines = nnpipe("predict", "encoder.onnx", "some.npy", "--format", "csv").out.splitlines()
    assert lines[0] == "input,code_0,code_1,code_2,code_3,code_4"
    codes = np.array([[float(word) for word in line.split(",")[1:]] for line in lines[1:]], np.float32)
    np.save("codes.npy", codes)
    lines = nnpipe("predict", "decoder.onnx", "codes.npy", "--format", "csv").out.splitlines()
    assert lines[0].split(",")[1:4] == ["pixel_0_0", "pixel_0_1", "pixel_0_2"]
    pixels = np.array([[float(word) for word in line.split(",")[1:]] for line in lines[1:]])
    errors = np.square((pixels - np.load("some.npy").reshape(4, 64)) / 16).sum(axis=1)  # of values from 0 to 1
    told = nnpipe("predict", "whole.onnx", "some.npy", "--format", "csv").out.splitlines()
    assert told[0] == "input,squared_error"
    np.testing.assert_allclose([float(line.split(",")[1]) for line in told[1:]], errors, rtol=1e-5)


def test_a_table_shows_the_first_of_many_numbers_and_says_how_many_more_there_are(nnpipe, pretrained):
    nnpipe("export", pretrained, "--format", "safetensors", "--part", "decoder", "--out", "decoder.safetensors")
    np.save("codes.npy", np.full((2, 5), 0.5, np.float32))
    header, *rows = nnpipe("predict", "decoder.safetensors", "codes.npy").out.splitlines()
    assert header.split()[1:-3] == [f"pixel_{place // 8}_{place % 8}" for place in range(12)]
    assert {tuple(row.split()[-3:]) for row in (header, *rows)} == {("and", "52", "more")}
    assert [len(row.split()) for row in rows] == [1 + 12 + 3] * 2


def test_a_file_that_reads_raw_values_gives_the_same_answers(nnpipe, pretrained):
    raw, told = np.load("some.npy"), []
    for options, read in ((), raw / 16), (("--preprocessing", "inside"), raw):
        words = ("--format", "onnx", "--part", "encoder", *options, "--out", "a.onnx", "--overwrite")
        assert nnpipe("export", pretrained, *words).status == 0
        told.append(nnpipe("predict", "a.onnx", "some.npy").out)
        session = onnxruntime.InferenceSession("a.onnx")
        told.append(session.run(None, {"input": read.reshape(4, 1, 8, 8)})[0])
    assert told[0] == told[2]
    np.testing.assert_allclose(told[1], told[3], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--format", "onnx", "--part", "encoder"], "this network has no encoder"),
        (["--format", "safetensors", "--preprocessing", "inside"], "safetensors has no option preprocessing"),
    ],
)
def test_what_a_network_or_a_format_has_not_is_a_usage_error(nnpipe, copied, options, told):
    answer = nnpipe("export", "tiny", *options, "--out", "a.file")
    assert answer.status == 2
    assert told in answer.err
    assert not Path("a.file").exists()


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
