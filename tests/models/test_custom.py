"""A user's own layer: found without running it, imported as its file is now, and never because a file says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nnpipe.errors import DataError, SpecError, StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, load_network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.spec.document import Document
from nnpipe.spec.validate import validate

LAYERS = """\
import torch
from torch import nn

from mine.deep import helper


class Scaled(nn.Module):
    def __init__(self, width, *, start=1.0):
        super().__init__()
        self.factor = nn.Parameter(torch.rand(width) + start)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        from sibling import shift

        return shift(self.dropout(x * self.factor * helper.TWICE))


class Plain:
    pass
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a spec, with a package that has no __init__ and a module beside it."""
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "layers.py").write_text(LAYERS)
    (tmp_path / "mine" / "deep" / "helper.py").write_text("TWICE = 2.0\n")
    (tmp_path / "sibling.py").write_text("def shift(x):\n    return x + 1\n")
    return tmp_path


def model_of(root: Path, **changes: Any) -> Model:
    layer = {"kind": "custom", "class": "mine.layers.Scaled", "options": {"width": 4}, **changes}
    document = Document("spec", {"layers": [layer]})
    return validate(Model, document, {"root": root})


def network_of(model: Model, seed: int = 0, shape: tuple[int, ...] = (4,)) -> Network:
    return Network(model, shape, Scaling(), ["a", "b", "c", "d"], torch.Generator().manual_seed(seed))


def drawn(network: Network) -> list[Tensor]:
    return [network(torch.ones(2, 4)) for _ in range(2)]


def test_it_computes_what_its_class_computes(root: Path) -> None:
    network = network_of(model_of(root)).eval()
    factor = network.state_dict()["layers.0.module.factor"]
    torch.testing.assert_close(network(torch.ones(1, 4)), 2 * factor[None] + 1)


def test_it_draws_from_generators_of_its_own_alone(root: Path) -> None:
    state = torch.get_rng_state()
    model = model_of(root)
    first, second, other = network_of(model), network_of(model), network_of(model, seed=1)
    assert torch.equal(first.state_dict()["layers.0.module.factor"], second.state_dict()["layers.0.module.factor"])
    assert not torch.equal(first.state_dict()["layers.0.module.factor"], other.state_dict()["layers.0.module.factor"])
    once, again = drawn(first), drawn(second)
    assert all(map(torch.equal, once, again))
    assert not torch.equal(*once)
    assert list(first.generators()) == ["layers.0"]
    assert torch.equal(state, torch.get_rng_state())


def test_an_edit_counts_at_once_even_in_the_same_second_and_at_the_same_size(root: Path) -> None:
    before = network_of(model_of(root)).eval()(torch.ones(1, 4))
    helper = root / "mine" / "deep" / "helper.py"
    times = helper.stat().st_atime_ns, helper.stat().st_mtime_ns
    helper.write_text("TWICE = 3.0\n")
    os.utime(helper, ns=times)
    after = network_of(model_of(root)).eval()(torch.ones(1, 4))
    torch.testing.assert_close((after - 1) / (before - 1), torch.full((1, 4), 1.5))


def test_two_specs_may_have_modules_of_one_name(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "mine").mkdir()
    (other / "mine" / "layers.py").write_text("from torch import nn\n\n\nclass Scaled(nn.Identity):\n    pass\n")
    assert "layers.0.module.factor" in network_of(model_of(root)).state_dict()
    assert not network_of(model_of(other)).state_dict()
    assert "layers.0.module.factor" in network_of(model_of(root)).state_dict()
    assert str(root) not in sys.path


def test_planning_neither_imports_it_nor_torch(root: Path) -> None:
    (root / "mine" / "layers.py").write_text("raise SystemExit('imported')\n\n\nclass Scaled:\n    pass\n")
    script = f"""
import sys
from pathlib import Path
from nnpipe.models.architecture import Model
spec = {{"layers": [{{"kind": "custom", "class": "mine.layers.Scaled", "output_shape": [3]}}]}}
model = Model.model_validate(spec, context={{"root": Path({str(root)!r})}})
assert model.shapes((4,)) == [(3,)] and model.parameters((4,)) is None
assert not {{"torch", "numpy", "mine"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"class": "absent.Scaled"}, "no module absent"),
        ({"class": "mine.absent.Scaled"}, "no module mine.absent"),
        ({"class": "mine.layers.Scalde"}, "did you mean 'Scaled'?"),
        ({"options": {"widht": 4}}, "did you mean 'width'?"),
        ({"options": {}}, "needs width"),
        ({"class": "mine.broken.Scaled"}, "not Python"),
    ],
)
def test_a_mistake_that_reading_shows_is_one_of_the_spec(root: Path, changes: dict[str, Any], told: str) -> None:
    (root / "mine" / "broken.py").write_text("class Scaled(\n")
    with pytest.raises(SpecError) as caught:
        model_of(root, **changes)
    assert told in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("changes", "shape", "told"),
    [
        ({"class": "mine.layers.Plain", "options": {}}, (4,), "torch.nn.Module"),
        ({"class": "os.system", "options": {"command": "exit 1"}}, (4,), "torch.nn.Module"),
        ({"class": "json.JSONDecoder", "options": {}}, (4,), "torch.nn.Module"),
        ({"options": {"width": "four"}}, (4,), "TypeError"),
        ({}, (5,), "cannot read a batch of shape 2x5"),
        ({"output_shape": [7]}, (4,), "write output_shape: [4]"),
        ({"class": "mine.hidden.Scaled"}, (4,), "ModuleNotFoundError"),
        ({"class": "torch.nn.Absent", "options": {}}, (4,), "AttributeError"),
    ],
)
def test_one_that_only_building_shows_fails_the_stage(
    root: Path, changes: dict[str, Any], shape: tuple[int, ...], told: str
) -> None:
    hidden = "import importlib\n\nimportlib.import_module('mine.deep.' + 'unseen')\n\n\nclass Scaled:\n    pass\n"
    (root / "mine" / "hidden.py").write_text(hidden)
    (root / "mine" / "deep" / "unseen.py").write_text("")
    with pytest.raises(StageError) as caught:
        network_of(model_of(root, **changes), shape=shape)
    assert told in str(caught.value)


def test_a_file_cannot_say_whose_code_is_run(root: Path) -> None:
    model = model_of(root)
    network = network_of(model).eval()
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    (root / "mine" / "layers.py").write_text(LAYERS + "\nraise SystemExit('imported')\n")
    other = model_of(root, options={"width": 5})
    for vouched in (None, other):
        with pytest.raises(DataError) as caught:
            load_network(tensors, save_document(network), vouched)
        assert "class mine.layers.Scaled" in str(caught.value)
    inside = {"kind": "residual", "layers": [{"kind": "custom", "class": "mine.layers.Scaled"}]}
    with pytest.raises(DataError):
        load_network(tensors, {**save_document(network), "architecture": {"layers": [inside]}})
    (root / "mine" / "layers.py").write_text(LAYERS)
    x = torch.ones(2, 4)
    assert torch.equal(load_network(tensors, save_document(network), model)(x), network(x))
