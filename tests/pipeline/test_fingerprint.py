from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnpipe.errors import UsageError
from nnpipe.pipeline.fingerprint import MODULE, ORDER, definitions, fingerprint
from nnpipe.pipeline.graph import Stage, stages_of
from nnpipe.pipeline.recipe import recipe, recipe_key
from nnpipe.pipeline.spec import check_spec
from nnpipe.spec.document import Document
from nnpipe.store.memo import Memo

from .conftest import MINIATURE, miniature


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


SOURCE = '''\
"""A module."""

from __future__ import annotations

import ast
import sys

LIMIT = 3


@cache
def f(x, y=LIMIT):
    """Says a thing."""
    return [x, f"{y!r:>{LIMIT}}"]  # why


class A(B, key="é"):
    """Has two methods, one of them twice."""

    size: int = 1

    @property
    def area(self):
        return self.size

    @area.setter
    def area(self, value):
        self.size = value

    async def wait(self):
        await self.size

    class Inner:
        pass


if sys.platform == "win32":

    def f(x):
        return lambda: x


g = f(LIMIT)
'''


def changed(after: str, before: str = SOURCE) -> set[str]:
    """The definitions that differ between two sources."""
    assert after != before
    a, b = definitions(ast.parse(before)), definitions(ast.parse(after))
    return {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def test_a_module_is_divided_into_its_definitions() -> None:
    assert set(definitions(ast.parse(SOURCE))) == {MODULE, "f", "A", "A.area", "A.wait", ORDER}
    assert set(definitions(ast.parse(""))) == {MODULE, ORDER}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # why", ""),
        ("[x, f", "[\n        x,\n        f"),
        ('    """Says a thing."""\n', ""),
        ('    """Has two methods, one of them twice."""\n', ""),
        ('"""A module."""', '"""Another."""'),
        ("import ast\nimport sys", "import sys\nimport ast"),
        ('"é"', '"\\u00e9"'),
    ],
)
def test_comments_docstrings_layout_and_the_order_of_imports_do_not_count(before: str, after: str) -> None:
    assert changed(SOURCE.replace(before, after)) == set()


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("[x, f", "[x, 1, f", {"f"}),
        ("f(x, y=LIMIT)", "f(x, y=2)", {"f"}),
        ("@cache\n", "", {"f"}),
        ("LIMIT = 3", "LIMIT = 3.0", {MODULE}),
        ("LIMIT = 3", "LIMIT = True", {MODULE}),
        ("import ast\n", "import ast as tree\n", {MODULE}),
        ('sys.platform == "win32"', 'sys.platform != "win32"', {MODULE}),
        ("lambda: x", "lambda: 1", {MODULE}),
        ("A(B, ", "A(C, ", {"A"}),
        ("size: int = 1", "size: int = 2", {"A"}),
        ("    class Inner:\n        pass", "    class Inner:\n        size = 1", {"A"}),
        ("return self.size", "return 2 * self.size", {"A.area"}),
        ("@area.setter", "@other.setter", {"A.area"}),
        ("await self.size", "await 1", {"A.wait"}),
        ("async def wait", "async def sleep", {"A.wait", "A.sleep", ORDER}),
    ],
)
def test_a_change_is_seen_in_the_definition_that_holds_it(before: str, after: str, where: set[str]) -> None:
    assert SOURCE.count(before) == 1
    assert changed(SOURCE.replace(before, after)) == where


def test_a_line_that_moves_to_another_place_counts() -> None:
    moved = SOURCE.replace("g = f(LIMIT)\n", "").replace("\n\n@cache", "\ng = f(LIMIT)\n\n\n@cache")
    assert changed(moved) == {MODULE, ORDER}
    after = "def f(): ...\nf = None\n"
    assert changed(after, "f = None\ndef f(): ...\n") == {ORDER}


def statements(tree: ast.Module) -> list[tuple[list[ast.stmt], int]]:
    """Where each statement of a module stands, at any depth, docstrings left out."""
    bodies = [
        body
        for node in ast.walk(tree)
        for _, body in ast.iter_fields(node)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt)
    ]
    docstring = r"Expr\(value=Constant\(value='"
    return [(body, i) for body in bodies for i in range(len(body)) if not re.match(docstring, ast.dump(body[i]))]


def test_no_statement_of_a_module_escapes() -> None:
    source = (Path(__file__).parents[2] / "nnpipe/pretraining/contrastive_divergence.py").read_text()
    whole = definitions(ast.parse(source))
    for number in range(len(statements(ast.parse(source)))):
        tree = ast.parse(source)
        body, index = statements(tree)[number]
        body[index] = ast.parse("something_else()").body[0]
        assert definitions(tree) != whole


def test_digests_are_the_same_in_every_version_of_python() -> None:
    assert {name: digest[:12] for name, digest in definitions(ast.parse(SOURCE)).items()} == {
        MODULE: "5ebc85820390",
        "f": "6c1a08dca7ae",
        "A": "ef869f620991",
        "A.area": "81cc1eab756d",
        "A.wait": "1e3b46d2b614",
        ORDER: "99656cadab38",
    }


def test_a_module_that_did_not_change_is_not_parsed_again(memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fingerprint(stage("pretrain/1"), memo)
    monkeypatch.delattr(ast, "parse")
    with monkeypatch.context() as another_process:
        another_process.setattr("nnpipe.pipeline.fingerprint._parsed", {})
        assert fingerprint(stage("pretrain/1"), memo) == first
    assert fingerprint(stage("pretrain/1"), Memo(memo.path.with_name("of another store"))) == first


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
    loop = first["code"]["nnpipe.training.loop"]
    assert "fit" in loop
    others = [
        recipe(stage("finetune"), {"data": "b"}, memo),
        recipe(stage("finetune", "train.epochs=3"), {"data": "a"}, memo),
        recipe(stage("finetune", "seed=1"), {"data": "a"}, memo),
        {**first, "code": {**first["code"], "nnpipe.training.loop": {**loop, "fit": "edited"}}},
        {**first, "stage": "other"},
    ]
    assert len({recipe_key(each) for each in (first, *others)}) == 6


# -- a layer of the user's own -------------------------------------------------------------------------------


OWN = """\
model.layers=[flatten, {kind: custom, class: mine.layers.Mine}, {kind: dense, units: 10, activation: softmax}]"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a spec's own code: a package, a module two imports away from the layer, and one nobody imports."""
    files = {
        "mine/__init__.py": "",
        "mine/layers.py": "import torch\nfrom . import near\n\n\nclass Mine(torch.nn.Identity):\n    w = near.width\n",
        "mine/near.py": "def _late():\n    import beside\n\n\nfrom .deep.far import width\n",
        "mine/deep/__init__.py": "",
        "mine/deep/far.py": "from nnpipe.models import scaling\n\nwidth = 3\n",
        "mine/other.py": "width = 4\n",
        "beside.py": "x = 1\n",
        "torch/notes.txt": "a folder that only looks like a package",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def own_code(root: Path, memo: Memo, name: str = "finetune") -> dict[str, dict[str, str]]:
    spec = check_spec(Document.parse(MINIATURE, "miniature.yaml"), ("pretrain=", OWN), root)
    return fingerprint(next(stage for stage in stages_of(spec) if stage.name == name), memo)


def test_a_layer_of_the_users_is_followed_through_modules_of_the_users(
    root: Path, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    found = own_code(root, memo)
    assert {name for name in found if not name.startswith("nnpipe.")} == {
        "mine.__init__", "mine.layers", "mine.near", "mine.deep.__init__", "mine.deep.far", "beside"
    }  # fmt: skip
    assert {"nnpipe.models.scaling", "nnpipe.models.layers.custom", "nnpipe.models.own_modules"} <= set(found)
    assert set(found["mine.layers"]) == {MODULE, "Mine", ORDER}
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("file", "before", "after", "counts"),
    [
        ("mine/deep/far.py", "width = 3", "width = 5", True),
        ("mine/deep/far.py", "width = 3", "width = 3  # units", False),
        ("mine/deep/__init__.py", "", "x = 1\n", True),
        ("beside.py", "x = 1", "x = 2", True),
        ("mine/other.py", "width = 4", "width = 5", False),
        ("mine/near.py", ".deep.far", ".other", True),
    ],
)
def test_what_the_layer_reaches_counts_and_comments_do_not(
    root: Path, memo: Memo, file: str, before: str, after: str, counts: bool
) -> None:
    first = {name: own_code(root, memo, name) for name in ("ingest", "finetune", "evaluate")}
    text = (root / file).read_text()
    (root / file).write_text(text.replace(before, after) if before else after)
    assert (own_code(root, memo) != first["finetune"]) is counts
    assert (own_code(root, memo, "evaluate") != first["evaluate"]) is counts
    assert own_code(root, memo, "ingest") == first["ingest"]


def test_where_the_users_code_lies_does_not_count(
    root: Path, memo: Memo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(root, elsewhere)
    assert own_code(elsewhere, memo) == own_code(root, memo)
    assert str(root) not in str(own_code(root, memo))


def test_libraries_are_not_followed(root: Path, memo: Memo) -> None:
    (root / "mine/layers.py").write_text("from torch.nn import Identity as Mine\n")
    assert {name for name in own_code(root, memo) if not name.startswith("nnpipe.")} == {"mine.__init__", "mine.layers"}


def test_a_module_that_cannot_be_read_is_told_with_its_line(root: Path, memo: Memo) -> None:
    (root / "mine/deep/far.py").write_text("x = 1\nwidth = (\n")
    with pytest.raises(UsageError) as caught:
        own_code(root, memo)
    assert str(root / "mine/deep/far.py:2") in str(caught.value)


def test_what_is_imported_for_type_checkers_alone_is_not_followed(memo: Memo) -> None:
    # The optimizer's module names the whole of training and the network's module, in annotations.
    modules = fingerprint(stage("pretrain/1"), memo)
    assert "nnpipe.training.optimizers.sgd" in modules
    assert not {"nnpipe.training.train", "nnpipe.models.network", "nnpipe.training.losses.loss"} & modules.keys()
