from __future__ import annotations

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


def test_an_export_never_overwrites_unasked(nnpipe, copied):
    Path("out.safetensors").write_text("mine")
    words = ("export", "tiny", "--format", "safetensors", "--out", "out.safetensors")
    answer = nnpipe(*words)
    assert answer.status == 2
    assert "--overwrite" in answer.err
    assert Path("out.safetensors").read_text() == "mine"
    assert nnpipe(*words, "--overwrite").status == 0
    assert load_file("out.safetensors")


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
