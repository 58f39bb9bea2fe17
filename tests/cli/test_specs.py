from __future__ import annotations

import json
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("spec", sorted((CHECKOUT / "specs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_starter_spec_is_valid(nnpipe, spec):
    answer = nnpipe("validate", spec)
    assert answer.status == 0, answer.err
    assert f"{spec}: ok (" in answer.out


def test_the_lectures_network_has_its_number_of_parameters(nnpipe):
    answer = nnpipe("validate", CHECKOUT / "specs/mnist_convnet.yaml", "--verbose")
    assert "437,482 parameters)" in answer.out
    rows = [line.split() for line in answer.out.splitlines()[1:]]
    assert rows[0] == ["layer", "shape", "parameters"]
    assert ["flatten", "3200", "0"] in rows
    assert ["dense", "128", "409,728"] in rows


def test_all_errors_of_all_files_are_told(nnpipe, tmp_path, here):
    wrong = here.joinpath("tiny.yaml").read_text().replace("epochs", "epoch").replace("units: 4", "units: four")
    (tmp_path / "a.yaml").write_text(wrong)
    (tmp_path / "b.yaml").write_text("version: 2\n")
    answer = nnpipe("validate", tmp_path / "a.yaml", "tiny.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml")
    assert answer.status == 2
    assert answer.out.startswith("tiny.yaml: ok (6 stages, 17 parameters)")
    for name in ("a.yaml:6:28: model.layers.0.units", "a.yaml:8:", "b.yaml:1:", "c.yaml: cannot read"):
        assert str(tmp_path / name) in answer.err


def test_the_schema_is_sorted_and_knows_every_layer(nnpipe):
    out = nnpipe("schema").out
    schema = json.loads(out)
    assert json.dumps(schema, indent=2, sort_keys=True) + "\n" == out
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"Dense", "Conv2d", "MaxPool2d", "Flatten", "Dropout"} <= set(schema["$defs"])
    assert out == nnpipe("schema").out


def test_init_writes_the_starters_and_never_overwrites(nnpipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = nnpipe("init")
    assert answer.status == 0
    assert answer.out.splitlines()[-1] == "Next: nnpipe run specs/digits.yaml"
    starters = sorted((CHECKOUT / "specs").glob("*.yaml"))
    for folder in ("", "lecture", "papers"):
        assert {path.name: path.read_bytes() for path in Path("specs", folder).glob("*.yaml")} == {
            path.name: path.read_bytes() for path in (CHECKOUT / "specs" / folder).glob("*.yaml")
        }
    Path("specs", starters[-1].name).write_text("mine")
    Path("specs", starters[0].name).unlink()
    again = nnpipe("init", "specs")
    assert again.status == 2
    assert "specs/" in again.err
    assert Path("specs", starters[-1].name).read_text() == "mine"
    assert not Path("specs", starters[0].name).exists()
