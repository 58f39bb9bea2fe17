"""What is said to differ between two recipes, and which earlier recipe is taken for the nearest."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from nnpipe.pipeline.compare import compare, nearest_recipe, spec_field
from nnpipe.pipeline.fingerprint import MODULE, ORDER
from nnpipe.pipeline.graph import stages_of
from nnpipe.pipeline.recipe import recipe_key
from nnpipe.pipeline.spec import Spec
from nnpipe.spec import identity
from nnpipe.store.canonical import JSON
from nnpipe.store.store import Store

from .conftest import miniature, run

RECIPE: dict[str, Any] = {
    "stage": "finetune",
    "config": {
        "model": {"layers": [{"kind": "dense", "units": 10}, {"kind": "dense", "units": 2}]},
        "train": {"optimizer": {"kind": "adam", "learning_rate": 0.001}, "early_stopping": None},
        "scaling": "auto",
    },
    "inputs": {"data": "abcdefabcdefabc", "pretrain/1": "123456123456123"},
    "seed": 7,
    "code": {
        "nnpipe.training.loop": {MODULE: "1", "fit": "2", "_Epoch": "3", "_Epoch.step": "4", ORDER: "5"},
        "nnpipe.training.seeds": {MODULE: "6", ORDER: "7"},
    },
}

LOOP = "code nnpipe/training/loop.py"


def edited(*path: str | int, to: JSON = None, drop: bool = False, recipe: JSON = RECIPE) -> JSON:
    changed = copy.deepcopy(recipe)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return changed


def told(before: JSON, after: JSON) -> list[str]:
    return [str(difference) for difference in compare(before, after)]


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (
            edited("config", "train", "optimizer", "learning_rate", to=0.01),
            "config field train.optimizer.learning_rate: 0.001 -> 0.01",
        ),
        (edited("config", "model", "layers", 0, "units", to=20), "config field model.layers.0.units: 10 -> 20"),
        (edited("config", "model", "layers", 0, "units", to=10.0), "config field model.layers.0.units: 10 -> 10.0"),
        (
            edited("config", "model", "layers", 1, drop=True),
            'config field model.layers.1: {"kind": "dense", "units": 2} removed',
        ),
        (edited("config", "train", "epochs", to=3), "config field train.epochs: 3 added"),
        (
            edited("config", "train", "early_stopping", to={"patience": 2}),
            'config field train.early_stopping: null -> {"patience": 2}',
        ),
        (edited("config", "scaling", to="unit"), 'config field data.scaling: "auto" -> "unit"'),
        (edited("inputs", "data", to="ffffffffffffff"), "input data: content abcdefabcd -> ffffffffff"),
        (edited("inputs", "pretrain/2", to="ffffffffffffff"), "input pretrain/2: content ffffffffff added"),
        (edited("inputs", "pretrain/1", drop=True), "input pretrain/1: content 1234561234 removed"),
        (edited("seed", to=8), "seed: 7 -> 8"),
        (edited("code", "nnpipe.training.loop", "fit", to="x"), f"{LOOP}, function fit changed"),
        (edited("code", "nnpipe.training.loop", "_Epoch", to="x"), f"{LOOP}, class _Epoch changed"),
        (edited("code", "nnpipe.training.loop", "_Epoch.step", to="x"), f"{LOOP}, function _Epoch.step changed"),
        (
            edited("code", "nnpipe.training.loop", MODULE, to="x"),
            f"{LOOP}, statements outside functions and classes changed",
        ),
        (edited("code", "nnpipe.training.loop", ORDER, to="x"), f"{LOOP}, order of definitions changed"),
        (edited("code", "nnpipe.training.loop", drop=True), f"{LOOP} removed"),
        (edited("code", "nnpipe.training.watch", to={}), "code nnpipe/training/watch.py added"),
        (edited("code", "nnpipe.training.loop", to="one digest"), f"{LOOP} changed"),
    ],
)
def test_one_change_is_one_difference_that_names_it(after: JSON, text: str) -> None:
    assert told(RECIPE, after) == [text]


def test_equal_recipes_do_not_differ_and_those_of_two_stages_do() -> None:
    assert told(RECIPE, copy.deepcopy(RECIPE)) == []
    assert told(RECIPE, edited("stage", to="evaluate")) == ['stage: "finetune" -> "evaluate"']


def test_a_definition_that_comes_or_goes_is_told_without_the_order_that_it_changes() -> None:
    module = {**RECIPE["code"]["nnpipe.training.loop"], "_average": "8", ORDER: "9"}
    after = edited("code", "nnpipe.training.loop", to=module)
    assert told(RECIPE, after) == [f"{LOOP}, function _average added"]
    assert told(after, RECIPE) == [f"{LOOP}, function _average removed"]


def test_changed_files_of_a_source_are_told_as_such() -> None:
    before = {"stage": "ingest", "inputs": {"files": "aaaaaaaaaaaaa"}}
    assert told(before, {**before, "inputs": {"files": "bbbbbbbbbbbbb"}}) == [
        "files of the source: content aaaaaaaaaa -> bbbbbbbbbb"
    ]


def test_fields_are_called_as_the_spec_calls_them() -> None:
    spec = miniature()
    whole = spec.model_dump(mode="json")
    # What the spec has no field for, or this one does not: its network stands in no file.
    derived = {"layer", "between", "below", "chosen", "template", "imported"}
    named = set()
    for stage in stages_of(spec):
        for field in identity(stage.config):
            place = whole
            name = spec_field(stage.name, (field,))
            if field not in derived:
                for step in filter(None, name.split(".")):
                    assert step in place, f"{stage.name}: {field} is not {name}"
                    place = place[step]
                named.add(name)
    assert {"data.source", "pretrain.method", "train", "train.loss", "data.scaling", "export", "visualize"} <= named


def test_what_a_layer_has_for_itself_is_called_as_it_was_given() -> None:
    def recipe(spec: Spec) -> JSON:
        return {"stage": "pretrain/2", "config": identity(stages_of(spec)[2].config)}

    before = miniature()
    own = {"pretrain.per_layer": "{2: {epochs: 7, method: {kind: rbm, steps: 3}}}"}
    after = miniature(*(f"{name}={value}" for name, value in own.items()), "pretrain.batch_size=9")
    found = compare(recipe(before), recipe(after), after.model_dump(mode="json"))
    assert {each.name for each in found} == {
        "pretrain.per_layer.2.method.steps",
        "pretrain.per_layer.2.epochs",
        "pretrain.batch_size",
    }
    back = compare(recipe(after), recipe(before), before.model_dump(mode="json"))
    assert {each.name for each in back} == {"pretrain.method.steps", "pretrain.epochs", "pretrain.batch_size"}


def test_the_report_tells_a_field_that_it_knows_twice_once() -> None:
    before, after = (
        {"stage": "report", "config": identity(stages_of(spec)[-1].config)}
        for spec in (miniature(), miniature("model.layers.0.units=14"))
    )
    assert told(before, after) == ["config field model.layers.0.units: 12 -> 14"]


# -- the nearest ---------------------------------------------------------------------------------------------


def record(store: Store, at: int, spec: str, recipe: JSON) -> str:
    """Carry out ``recipe`` in a run of ``spec``."""
    key = recipe_key(recipe)
    with store.output(key) as output:
        output.summary["at"] = at
        made = {"run": f"20260101-00000{at}-{spec}-ab12", "at": f"2026-01-01T00:00:0{at}+00:00"}
        store.commit(output, key, recipe["stage"], recipe, made)
    return key


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    store = Store(tmp_path / "empty")
    store.prepare()
    return store


def test_nothing_is_near_in_an_empty_store_or_to_itself(empty: Store) -> None:
    assert nearest_recipe(empty, RECIPE, "mine") is None
    record(empty, 1, "mine", RECIPE)
    record(empty, 2, "mine", edited("stage", to="evaluate"))
    assert nearest_recipe(empty, RECIPE, "mine") is None


def test_the_nearest_is_of_the_same_spec_then_like_it_then_new(empty: Store) -> None:
    def found() -> str:
        near = nearest_recipe(empty, RECIPE, "my-spec")
        assert near is not None
        return near[0].key

    far = edited("inputs", "data", to="0", recipe=edited("seed", to=1))
    keys = [record(empty, 1, "another", edited("seed", to=2))]
    assert found() == keys[-1]
    keys.append(record(empty, 2, "my-spec", far))  # less like it, but of the same spec
    assert found() == keys[-1]
    keys.append(record(empty, 3, "my-spec", edited("seed", to=3)))  # more like it
    assert found() == keys[-1]
    keys.append(record(empty, 4, "my-spec", edited("seed", to=4)))  # the same, and newer
    assert found() == keys[-1]
    record(empty, 5, "my-spec", {**far, "seed": 9})
    assert found() == keys[-1]


def test_after_a_run_the_nearest_recipe_differs_by_what_was_overridden(store: Store) -> None:
    done = run(store, "train.optimizer.learning_rate=0.01", until="finetune")
    new = store.find(done.stages[-1].key)
    assert new is not None
    near = nearest_recipe(store, new.recipe, "miniature")
    assert near is not None
    assert [str(each) for each in near[1]] == ["config field train.optimizer.learning_rate: 0.001 -> 0.01"]
