from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnpipe.pipeline.fingerprint import _canonical, fingerprint
from nnpipe.pipeline.graph import Stage, stages_of
from nnpipe.pipeline.recipe import recipe, recipe_key
from nnpipe.store.memo import Memo

from .conftest import miniature


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    return Memo(tmp_path / "memo.json")


def stage(name: str, *overrides: str) -> Stage:
    return next(stage for stage in stages_of(miniature(*overrides)) if stage.name == name)


def test_a_stage_sees_its_module_its_components_and_what_they_import(memo: Memo) -> None:
    modules = fingerprint(stage("pretrain/1"), memo)
    assert {
        "nnpipe.stages.pretrain",  # the stage itself
        "nnpipe.pretraining.rbm",  # the method that the spec chose
        "nnpipe.pretraining.contrastive_divergence",  # imported inside a function of the method
        "nnpipe.pretraining.boltzmann_machine",  # two imports away
        "nnpipe.training.loop",
        "nnpipe.models.layers.dense",
        "nnpipe.training.optimizers.sgd",
    } <= set(modules)


def test_what_the_spec_did_not_choose_is_not_seen(memo: Memo) -> None:
    modules = set(fingerprint(stage("pretrain/1"), memo))
    assert not modules & {
        "nnpipe.pretraining.autoencoder",
        "nnpipe.pretraining.denoising",
        "nnpipe.models.layers.conv2d",
        "nnpipe.training.optimizers.adam",
        "nnpipe.stages.finetune",
        "nnpipe.plots.filters",
    }
    chosen = fingerprint(stage("pretrain/1", "pretrain.method=autoencoder"), memo)
    assert "nnpipe.pretraining.denoising" in chosen
    assert "nnpipe.pretraining.rbm" not in chosen


def test_what_only_carries_bytes_and_messages_is_not_seen(memo: Memo) -> None:
    for each in stages_of(miniature()):
        modules = fingerprint(each, memo)
        assert modules
        assert not [name for name in modules if re.match(r"nnpipe\.(errors|spec|store|cli|pipeline)", name)]


def same(before: str, after: str) -> bool:
    return bool(_canonical(ast.parse(before)) == _canonical(ast.parse(after)))


def test_comments_docstrings_and_layout_do_not_count() -> None:
    before = 'def f(x):\n    """Says a thing."""\n    return [x, 1]  # why\n'
    assert same(before, "def f( x ):\n    return [\n        x,\n        1,\n    ]\n")


@pytest.mark.parametrize(
    "after", ["def f(x):\n    return x + 2", "def f(y):\n    return y + 1", "def f(x=0):\n    return x + 1", ""]
)
def test_everything_else_counts(after: str) -> None:
    assert not same("def f(x):\n    return x + 1", after)


def test_whole_numbers_fractions_and_truth_values_differ() -> None:
    assert not same("x = 1", "x = 1.0")
    assert not same("x = 1", "x = True")


def test_keys_are_the_same_in_every_process(memo: Memo) -> None:
    code = (
        "from pathlib import Path; from tests.pipeline.conftest import miniature\n"
        "from nnpipe.pipeline.graph import stages_of; from nnpipe.pipeline.recipe import recipe, recipe_key\n"
        "from nnpipe.store.memo import Memo\n"
        "print(*[recipe_key(recipe(s, {}, Memo(Path('none')))) for s in stages_of(miniature())])"
    )
    keys = [recipe_key(recipe(each, {}, memo)) for each in stages_of(miniature())]
    assert len(set(keys)) == len(keys)
    for hash_seed in ("0", "4"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == keys


def test_every_ingredient_changes_the_key(memo: Memo) -> None:
    first = recipe(stage("finetune"), {"data": "a"}, memo)
    others = [
        recipe(stage("finetune"), {"data": "b"}, memo),
        recipe(stage("finetune", "train.epochs=3"), {"data": "a"}, memo),
        recipe(stage("finetune", "seed=1"), {"data": "a"}, memo),
        {**first, "code": {**first["code"], "nnpipe.training.loop": "edited"}},
        {**first, "stage": "other"},
    ]
    assert len({recipe_key(each) for each in (first, *others)}) == 6
