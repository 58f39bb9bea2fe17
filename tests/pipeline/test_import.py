"""Runs whose network stands in a file: as it is, learning on, and with layers of the spec's own on top."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import DataError, SpecError, StageError
from nnpipe.exporters import find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.network import load_network
from nnpipe.pipeline.compare import compare
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import Plan, make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

from .conftest import computed, run, statuses

IMPORTED = """\
version: 1
name: imported
data: {source: digits, validation: 0.1}
model: {from: model.safetensors}
train: {optimizer: adam, epochs: 0, batch_size: 100}
visualize: []
"""
ON_TOP = (
    "model.keep=2",
    "model.layers=[{kind: dense, units: 7, activation: relu}, {kind: dense, units: 10, activation: softmax}]",
)


@pytest.fixture(scope="module")
def written(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the miniature's network as ``export`` writes it, in every format that can be read back."""
    folder = tmp_path_factory.mktemp("written")
    network = load_network(*run(Store(filled)).artifact("finetune").tensors("model"))
    for kind in ("safetensors", "weights_h5", "keras_h5", "keras", "huggingface", "onnx"):
        exporter = find_exporter(kind)
        exporter.write(network, folder / exporter.filename, Context())
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of ``written`` to change."""
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


def imported(folder: Path, *overrides: str) -> Spec:
    return check_spec(Document.parse(IMPORTED, "imported.yaml"), overrides, folder)


def planned(store: Store, folder: Path, *overrides: str) -> Plan:
    return make_plan(imported(folder, *overrides), store, folder)


def run_imported(store: Store, folder: Path, *overrides: str) -> Run:
    return run_local(Execution(planned(store, folder, *overrides), Runtime(device="cpu", threads=1)))


@pytest.mark.parametrize("file", ["model.safetensors", "weights.h5", "model.h5", "model.keras", "huggingface.zip"])
def test_a_network_in_a_file_is_measured_as_it_was_when_it_left(store: Store, folder: Path, file: str) -> None:
    first, again = run(store), run_imported(store, folder, f"model.from={file}")
    assert again.metrics == first.metrics
    for name, tensor in first.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], tensor)


def test_it_learns_on_and_nothing_is_computed_twice(store: Store, folder: Path) -> None:
    measured = run_imported(store, folder)
    on = run_imported(store, folder, "train.epochs=1")
    assert statuses(on)["import"] == "reused"
    assert on.tensors()["layers.2.weight"].tobytes() != measured.tensors()["layers.2.weight"].tobytes()
    assert planned(store, folder, "train.epochs=1").nothing_to_do


def test_layers_of_the_spec_stand_on_those_of_the_file(store: Store, folder: Path) -> None:
    done = run_imported(store, folder, *ON_TOP, "train.epochs=1", "train.frozen_epochs=1")
    theirs, ours = run(store).tensors(), done.tensors()
    for name in ("layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert [ours[f"layers.{index}.weight"].shape for index in range(4)] == [(12, 64), (10, 12), (7, 10), (10, 7)]


def test_where_the_file_lies_does_not_count_what_is_in_it_does(store: Store, folder: Path) -> None:
    before = run_imported(store, folder)
    (folder / "elsewhere").mkdir()
    shutil.move(folder / "model.safetensors", folder / "elsewhere/model.safetensors")
    moved = run_imported(store, folder, "model.from=elsewhere/model.safetensors")
    assert computed(moved) == ["report"]  # which shows the spec
    network = load_network(*run(store, "seed=1").artifact("finetune").tensors("model"))
    (folder / "elsewhere/model.safetensors").unlink()
    find_exporter("safetensors").write(network, folder / "elsewhere/model.safetensors", Context())
    after = run_imported(store, folder, "model.from=elsewhere/model.safetensors")
    assert computed(after) == ["import", "finetune", "evaluate", "visualize", "export", "report"]
    keys = [next(stage.key for stage in each.stages if stage.name == "finetune") for each in (before, after)]
    (difference,) = compare(*(store.find(key).recipe for key in keys))  # type: ignore[union-attr]
    assert str(difference).startswith("input import: content ")


def test_another_format_of_the_same_network_stops_at_the_import(store: Store, folder: Path) -> None:
    run_imported(store, folder)
    assert computed(run_imported(store, folder, "model.from=model.keras")) == ["import", "finetune", "report"]


def test_it_scales_as_it_learnt_to_unless_the_spec_says_otherwise(store: Store, folder: Path) -> None:
    network = load_network(*run(store, "data.scaling=standard", "pretrain=null").artifact("finetune").tensors("model"))
    find_exporter("safetensors").write(network, folder / "standard.safetensors", Context())
    kept = run_imported(store, folder, "model.from=standard.safetensors")
    assert kept.artifact("finetune").tensors("model")[1]["scaling"] == network.scaling.model_dump(mode="json")
    chosen = run_imported(store, folder, "model.from=standard.safetensors", "data.scaling=unit")
    assert chosen.artifact("finetune").tensors("model")[1]["scaling"]["scale"] == 16.0


def test_the_spec_that_a_run_records_means_the_same(folder: Path) -> None:
    for overrides in ([], ON_TOP):
        spec = imported(folder, *overrides)
        recorded = spec.model_dump(mode="json")
        assert Spec.model_validate(recorded, context={"root": folder}) == spec
        assert len(recorded["model"]["layers"]) == (2 if overrides else 0), "the file has the others"


def test_the_report_and_the_plan_tell_of_the_import(store: Store, folder: Path) -> None:
    done = run_imported(store, folder)
    assert done.report is not None
    text = Path(done.report).read_text()
    assert "import" in text
    assert "3 layers with" in text


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model.from=none.h5"], "no such file"),
        (["model.from=model.onnx"], "onnx files are not learnt on from"),
        (["model.keep=4"], "more layers to keep than there are"),
        (["model.keep=0"], "model.keep"),
        (["model.format=hdf"], "no export format 'hdf'"),
        (["model.layers=[{kind: dense, unitz: 3}]"], "unknown key 'unitz'"),
        (["model.keep=2"], "needs probabilities from softmax"),
        (["pretrain={method: rbm, layers: 1}"], "layer 1 is read from a file, and pretrained here"),
        (["train.start={from: miniature/latest}"], "layer 1 is read from a file, and starts from another run"),
        (["train.frozen_epochs=1", "train.epochs=2"], "all layers would be frozen"),
        (["model.unroll=true"], "an autoencoder's answers are its inputs"),
    ],
)
def test_what_cannot_be_is_told_at_its_place_before_anything_runs(
    folder: Path, overrides: list[str], told: str
) -> None:
    with pytest.raises(SpecError) as error:
        imported(folder, *overrides)
    assert told in str(error.value)


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def of_nobody(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, path)


def of_an_own_layer(path: Path) -> None:
    import json

    from safetensors.numpy import save_file

    layers = [{"kind": "custom", "class": "os.system"}, {"kind": "dense", "units": 2}]
    document = {"architecture": {"layers": layers}, "input_shape": [3], "scaling": {}, "class_names": ["a", "b"]}
    save_file({"weight": np.zeros(3, np.float32)}, path, metadata={"nnpipe": json.dumps(document)})


@pytest.mark.parametrize(
    ("make", "told"),
    [(damaged, "not a readable"), (of_nobody, "does not say what network"), (of_an_own_layer, "whose code")],
)
def test_a_file_that_is_no_network_is_refused(folder: Path, make: Callable[[Path], None], told: str) -> None:
    make(folder / "model.safetensors")
    with pytest.raises(SpecError, match=told):
        imported(folder)


def test_a_file_that_changes_between_plan_and_run_is_refused(store: Store, folder: Path) -> None:
    plan = planned(store, folder)
    network = load_network(*run(store, "model.layers.0.units=13").artifact("finetune").tensors("model"))
    (folder / "model.safetensors").unlink()
    find_exporter("safetensors").write(network, folder / "model.safetensors", Context())
    with pytest.raises(DataError, match="another network than when the spec was read"):
        run_local(Execution(plan, Runtime(device="cpu", threads=1)))


def test_data_of_another_shape_are_refused(store: Store, folder: Path) -> None:
    overrides: list[Any] = ["data.source={kind: two_classes, samples: 100}", "model.keep=2", ON_TOP[1]]
    two = [each.replace("units: 10", "units: 2") if isinstance(each, str) else each for each in overrides]
    with pytest.raises(StageError, match="reads other examples than the data has"):
        run_imported(store, folder, *two)
