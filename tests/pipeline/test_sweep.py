from __future__ import annotations

from pathlib import Path

import pytest

from nnpipe.errors import SpecError
from nnpipe.pipeline.sweep import Family, plan_family, read_family
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

BASE = """\
version: 1
name: tiny
data: {source: {kind: two_classes, samples: 60}}
model:
  layers:
    - {kind: dense, units: 4, activation: sigmoid}
    - {kind: dense, units: 1, activation: sigmoid}
train: {loss: mean_squared_error, optimizer: {kind: sgd, learning_rate: 0.5}, epochs: 2, batch_size: 16}
pretrain: {method: rbm, layers: 1, epochs: 1, batch_size: 10}
visualize: []
"""  # the matrix stands in line 11


def family(matrix: str, *overrides: str) -> Family:
    return read_family(Document.parse(BASE + matrix, "t.yaml"), overrides, Path())


def test_every_combination_is_a_spec_and_the_last_axis_runs_fastest() -> None:
    found = family("matrix: {seed: [0, 1], train.optimizer.learning_rate: [0.1, 0.01]}")
    assert found.axes == ("seed", "train.optimizer.learning_rate")
    rates = [(member.spec.seed, member.overrides["train.optimizer.learning_rate"]) for member in found.members]
    assert rates == [(0, 0.1), (0, 0.01), (1, 0.1), (1, 0.01)]
    assert [member.spec.train.optimizer.learning_rate for member in found.members] == [0.1, 0.01] * 2
    assert found.members[2].told == "seed=1, train.optimizer.learning_rate=0.1"


def test_a_group_sets_several_fields_and_goes_by_its_name() -> None:
    one, two = family(
        "matrix: {size: [{name: small, set: {model.layers.0.units: 2, train.epochs: 1}}, {name: same, set: {}}]}"
    ).members
    assert (one.values, one.spec.model.layers[0].units, one.spec.train.epochs) == ({"size": "small"}, 2, 1)
    assert (two.values, two.overrides, two.spec.model.layers[0].units) == ({"size": "same"}, {}, 4)


def test_a_value_of_null_drops_a_part() -> None:
    without, deep = family("matrix: {pretrain: [null, {method: autoencoder, layers: 1, epochs: 1}]}").members
    assert without.spec.pretrain is None
    assert deep.spec.pretrain is not None
    assert without.told == "pretrain=null"


def test_a_field_may_be_set_inside_what_an_axis_before_it_sets() -> None:
    layers = "[{kind: dense, units: 3}, {kind: dense, units: 1, activation: sigmoid}]"
    found = family(f"matrix: {{model.layers: [{layers}], model.layers.0.activation: [tanh, relu], pretrain: [null]}}")
    assert [member.spec.model.layers[0].activation for member in found.members] == ["tanh", "relu"]


def test_overrides_hold_for_all_and_can_give_an_axis_other_values() -> None:
    found = family("matrix: {seed: [0, 1]}", "train.epochs=7", "matrix.seed=[5]", "matrix.train.batch_size=[8, 4]")
    assert [(m.spec.seed, m.spec.train.epochs, m.spec.train.batch_size) for m in found.members] == [
        (5, 7, 8),
        (5, 7, 4),
    ]
    assert found.document["matrix"] == {"seed": [5], "train.batch_size": [8, 4]}
    assert found.document["train"]["epochs"] == 7


@pytest.mark.parametrize(
    ("matrix", "where", "told"),
    [
        ("matrix: []", "t.yaml:11:9", "a mapping from names of fields to lists of values"),
        ("matrix: {}", "t.yaml:11:9", "not a matrix"),
        ("matrix: {seed: []}", "t.yaml:11:16", "a list with at least one value"),
        ("matrix: {seed: 3}", "t.yaml:11:16", "no axis"),
        ("matrix: {a..b: [3]}", "t.yaml:11:10", "not the name of a field"),
        ("matrix: {name: [a, b]}", "t.yaml:11:10", "the same for all combinations"),
        ("matrix: {seed: [0, 1, 0]}", "t.yaml:11:23", "the same value twice"),
        ("matrix: {seed: [1, 1.0]}", "t.yaml:11:20", "the first is at t.yaml:11:17"),
        ("matrix: {a: [{name: x, set: {}}, {nam: y, set: {}}]}", "t.yaml:11:34", "not a group of overrides"),
        ("matrix: {a: [{name: '', set: {}}]}", "t.yaml:11:21", "not a name"),
        ("matrix: {a: [{name: x, set: [1]}]}", "t.yaml:11:29", "expected  a mapping"),
        ("matrix: {a: [{name: x, set: {name: b}}]}", "t.yaml:11:30", "not a field to set"),
        ("matrix: {a: [{name: x, set: {}}, {name: x, set: {seed: 1}}]}", "t.yaml:11:34", "the same value twice"),
        (f"matrix: {{seed: {list(range(1001))}}}", "t.yaml:11:1", "at most 1000"),
        ("matrix: {train.epochs: [1], train: [{epochs: 3}]}", "t.yaml:11:29", "train.epochs at t.yaml:11:25"),
        ("matrix: {train.epoch: [1, 2]}", "t.yaml:11:10", "unknown key 'epoch' (every combination)"),
        ("matrix: {trian.epochs: [1, 2]}", "t.yaml:11:10", "did you mean 'train'?"),
        ("matrix: {seed: [0, 1], train.epochs: [2, x]}", "t.yaml:11:42", "(combination seed=0, train.epochs=x and 1 m"),
        ("matrix: {train.optimizer: [{kind: sgd, learning_rate: -1}, sgd]}", "t.yaml:11:55", "greater than 0"),
        ("matrix: {model.layers.5.units: [1]}", "t.yaml:11:10", "there is no model.layers.5"),
        # What does not fit is told in the base by its name, and in the matrix by its place.
        ("matrix: {seed: [0], data.source: [{kind: two_classes}, digits]}", "t.yaml:11:56", "1 output for 10 classes"),
        ("matrix: {model.layers.1.units: [1, 3], seed: [0]}", "t.yaml:11:36", "layers.1: 3 outputs for 2 classes"),
        ("matrix: {pretrain.layers: [1, 4], seed: [0]}", "t.yaml:11:31", "pretrain.layers"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_in_the_matrix(matrix: str, where: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        family(matrix)
    assert len(caught.value.problems) == 1
    assert caught.value.where == where
    assert told in str(caught.value)


def test_a_mistake_outside_the_matrix_is_told_where_it_is() -> None:
    with pytest.raises(SpecError) as caught:
        read_family(
            Document.parse(BASE.replace("epochs: 2", "epochs: x") + "matrix: {seed: [0, 1]}", "t.yaml"), (), Path()
        )
    assert caught.value.where == "t.yaml:8:87"
    assert "(every combination)" in str(caught.value)


@pytest.mark.parametrize("key", ["seed", "train.epochs"])
def test_an_override_that_the_matrix_would_replace_is_refused(key: str) -> None:
    with pytest.raises(SpecError, match=f"found     --set {key}"):
        family("matrix: {seed: [0, 1], train: [{epochs: 3}]}", f"{key}=3")


@pytest.mark.parametrize("override", ["matrix.seed=", "matrix.seed=[x]", "matrix.train.epochs=3"])
def test_a_mistake_in_an_axis_that_was_given_as_override_is_told_there(override: str) -> None:
    with pytest.raises(SpecError) as caught:
        family("matrix: {seed: [0]}", override)
    assert caught.value.where == f"--set {override}"


def test_a_spec_without_a_matrix_is_no_sweep() -> None:
    with pytest.raises(SpecError, match="no 'matrix' in this spec"):
        family("")


def test_the_plan_counts_what_combinations_share(tmp_path: Path) -> None:
    found = family("matrix: {train.epochs: [1, 2], pretrain.epochs: [1, 2], data.source.samples: [60, 80]}")
    counted = {
        stage.name: (stage.combinations, stage.different, stage.compute)
        for stage in plan_family(found, Store(tmp_path / "s"))
    }
    assert list(counted) == ["ingest", "pretrain/1", "finetune", "evaluate", "visualize", "export", "report"]
    assert counted["ingest"] == (8, 2, 2)
    assert counted["pretrain/1"] == (8, 4, 4)
    assert counted["finetune"] == (8, 8, 8)
    assert not (tmp_path / "s").exists()


def test_the_plan_knows_stages_that_only_some_combinations_have(tmp_path: Path) -> None:
    found = family("matrix: {pretrain: [null, {method: rbm, layers: 1, epochs: 1}]}")
    counted = {stage.name: stage.combinations for stage in plan_family(found, Store(tmp_path / "s"))}
    assert (counted["pretrain/1"], counted["finetune"]) == (1, 2)
