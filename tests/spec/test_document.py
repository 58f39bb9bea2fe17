from __future__ import annotations

from pathlib import Path

import pytest

from nnpipe.errors import SpecError, UsageError
from nnpipe.spec.document import Document

TEXT = """\
# a comment
name: digits
train:
  optimizer: {kind: adam, learning_rate: 1e-3}
model:
  layers:
    - {kind: flatten}
    - kind: dense
      units: 10
"""


def test_values_are_plain_and_numbers_are_numbers() -> None:
    data = Document.parse(TEXT).data
    assert data["train"]["optimizer"]["learning_rate"] == 0.001
    assert type(data["train"]["optimizer"]["learning_rate"]) is float
    assert type(data["name"]) is str
    assert type(data["model"]["layers"]) is list


def test_every_key_and_value_has_its_line_and_column() -> None:
    document = Document.parse(TEXT, "a.yaml")
    assert document.where(("train", "optimizer", "learning_rate")) == "a.yaml:4:42"
    assert document.where(("train", "optimizer", "learning_rate"), key=True) == "a.yaml:4:27"
    assert document.where(("model", "layers", 1, "units")) == "a.yaml:9:14"
    assert document.where(("model", "layers", 1, "no such key")) == "a.yaml:8:7"


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("train.optimizer.learning_rate=0.01", ("train", "optimizer", "learning_rate"), 0.01),
        ("model.layers.1.units=64", ("model", "layers", 1, "units"), 64),
        ("data.source.kind=mnist", ("data", "source", "kind"), "mnist"),
        ("train.optimizer={kind: sgd}", ("train", "optimizer"), {"kind": "sgd"}),
        ("description=a = b", ("description",), "a = b"),
        ("pretrain=null", ("pretrain",), None),
    ],
)
def test_an_override_sets_any_value(assignment: str, path: tuple[str | int, ...], value: object) -> None:
    document = Document.parse(TEXT)
    document.override(assignment)
    assert document.value(path) == value
    assert document.where(path) == f"--set {assignment}"


@pytest.mark.parametrize("assignment", ["no equals sign", "=3", "name.first=x", "model.layers.7.units=3"])
def test_an_override_that_leads_nowhere_is_refused(assignment: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        Document.parse(TEXT).override(assignment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "duplicate key"),
        ("a: [1, 2\n", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "no place in a spec"),
        ("when: 2026-01-01\n", "no place in a spec"),
        ("a: " + "[" * 60 + "]" * 60, "nested too deeply"),
    ],
)
def test_what_is_not_plain_data_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Document.parse(text, "bad.yaml")


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="aliases that grow too large"):
        Document.parse("\n".join(lines))


def test_a_file_that_is_missing_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("name: x")
    with pytest.raises(SpecError, match=r"did you mean 'digits\.yaml'"):
        Document.read(tmp_path / "digit.yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(SpecError, match="too large"):
        Document.read(tmp_path / "large.yaml")


def test_a_duplicate_key_is_placed() -> None:
    with pytest.raises(SpecError) as caught:
        Document.parse("a: 1\nb: 2\na: 3\n", "bad.yaml")
    assert caught.value.problems[0].where == "bad.yaml:3:1"
