from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from nnpipe.errors import SpecError
from nnpipe.spec import Part, Shorthand, identity, problem
from nnpipe.spec.document import Document
from nnpipe.spec.validate import validate


class Adam(Part):
    kind: Literal["adam"]
    learning_rate: float = Field(0.001, gt=0)


class Sgd(Part):
    kind: Literal["sgd"]
    learning_rate: float
    where: str = "here"
    unkeyed = frozenset({"where"})


class Whole(Part):
    name: str
    epochs: int = Field(1, ge=1)
    batch_size: int | Literal["full"] = 32
    optimizer: Annotated[Adam | Sgd, Field(discriminator="kind")] = Adam(kind="adam")
    optimizers: tuple[Annotated[Adam | Sgd, Field(discriminator="kind")], ...] = ()


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        validate(Whole, Document.parse(text, "a.yaml"))
    return [str(problem) for problem in caught.value.problems]


def test_a_right_document_becomes_a_frozen_part() -> None:
    whole = validate(Whole, Document.parse("name: x\noptimizer: {kind: sgd, learning_rate: 1}\nbatch_size: full"))
    assert whole.optimizer == Sgd(kind="sgd", learning_rate=1.0)
    with pytest.raises(Exception, match="frozen"):
        whole.name = "y"  # type: ignore[misc]


def test_an_unknown_key_names_the_nearest_valid_one() -> None:
    (said,) = problems("name: x\nepocs: 3\n")
    assert said.startswith("a.yaml:2:1: epocs: unknown key 'epocs'")
    assert "did you mean 'epochs'?" in said


def test_an_unknown_kind_names_the_nearest_valid_one() -> None:
    (said,) = problems("name: x\noptimizer: {kind: adamm}\n")
    assert said.startswith("a.yaml:2:12: optimizer")
    assert "did you mean 'adam'?" in said


@pytest.mark.parametrize(
    ("text", "where", "expected", "found"),
    [
        ("name: x\nepochs: many\n", "a.yaml:2:9: epochs", "a whole number", "'many'"),
        ("name: x\nepochs: '3'\n", "a.yaml:2:9: epochs", "a whole number", "'3'"),
        ("name: x\nepochs: 0\n", "a.yaml:2:9: epochs", "at least 1", "0"),
        ("name: x\nepochs: 1.5\n", "a.yaml:2:9: epochs", "a whole number", "1.5"),
        ("name: x\nbatch_size: all\n", "a.yaml:2:13: batch_size", "a whole number or 'full'", "'all'"),
        ("name: [x]\n", "a.yaml:1:7: name", "text", "a list of 1"),
        (
            "name: x\noptimizer: {kind: adam, learning_rate: -1}",
            "a.yaml:2:40: optimizer.learning_rate",
            "greater",
            "-1",
        ),
        ("name: x\noptimizers: [{kind: sgd}]", "a.yaml:2:14: optimizers.0.learning_rate is missing", "a value", ""),
        ("epochs: 1\n", "a.yaml:1:1: name is missing", "a value", "nothing"),
    ],
)
def test_a_wrong_value_is_told_with_place_expected_and_found(text: str, where: str, expected: str, found: str) -> None:
    (said,) = problems(text)
    assert said.startswith(where)
    assert f"expected  {expected}" in said
    assert f"found     {found}" in said


def test_every_mistake_is_told_at_once() -> None:
    assert len(problems("epochs: many\nbatch_size: all\n")) == 3


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert "expected  a mapping" in problems(text)[0]


def test_identity_leaves_out_where_things_lie() -> None:
    whole = Whole(name="x", optimizer=Sgd(kind="sgd", learning_rate=1, where="there"))
    assert identity(whole)["optimizer"] == {"kind": "sgd", "learning_rate": 1.0}


def test_a_bare_word_is_shorthand_for_its_kind() -> None:
    class Short(Part):
        optimizer: Annotated[Adam | Sgd, Field(discriminator="kind"), Shorthand()]

    assert validate(Short, Document.parse("optimizer: adam")) == validate(
        Short, Document.parse("optimizer: {kind: adam}")
    )
    choices = Short.model_json_schema()["properties"]["optimizer"]["anyOf"]
    assert {"type": "string", "enum": ["adam", "sgd"]} in choices


def test_a_problem_keeps_braces_in_its_hint() -> None:
    assert problem("what", hint="put {kind: flatten} before it").context["hint"] == "put {kind: flatten} before it"  # type: ignore[index]
