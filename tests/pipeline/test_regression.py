"""Numbers instead of classes, from the data to the report; and what does not go together is told with its place."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nnpipe.errors import SpecError, StageError
from nnpipe.models.network import load_network
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

from .conftest import computed

SINE = """\
version: 1
name: sine
data: {source: {kind: function, function: sine, samples: 300}, validation: 0.1}
model:
  layers:
    - {kind: dense, units: 12, activation: tanh}
    - {kind: dense, units: 1}
train: {loss: mean_squared_error, optimizer: {kind: adam, learning_rate: 0.02}, epochs: 30, batch_size: 16}
export: [safetensors, onnx]
"""


def sine(*overrides: str) -> Spec:
    return check_spec(Document.parse(SINE, "sine.yaml"), overrides, Path())


def run(store: Store, *overrides: str, root: Path = Path(), text: str = SINE) -> Run:
    spec = check_spec(Document.parse(text, "sine.yaml"), overrides, root)
    return run_local(Execution(make_plan(spec, store, root), Runtime(device="cpu", threads=1)))


def refused(*overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        sine(*overrides)
    assert len(caught.value.problems) == 1
    return str(caught.value)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    store = Store(tmp_path_factory.mktemp("sine") / "artifacts")
    return store, run(store)


def test_a_sine_is_learnt_in_the_units_of_the_data(done: tuple[Store, Run]) -> None:
    _, first = done
    assert first.metrics["test_r2"] > 0.9
    assert "test_accuracy" not in first.metrics
    network = load_network(*first.artifact("finetune").tensors("model"))
    assert (network.class_names, network.target_names) == ((), ("sine",))
    with closing(first.artifact("ingest").arrays("data")) as data:
        truth = data.rows("y_test", 0, 60)
        scaled = network.target_scaling.apply(data.rows("y_train", 0, 216))
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-5)
    with closing(first.artifact("evaluate").arrays("predictions")) as predictions:
        values = predictions.rows("values", 0, 60)
    assert np.abs(values - truth).mean() == pytest.approx(first.metrics["test_mean_absolute_error"], rel=1e-5)
    summary = first.artifact("finetune").summary
    assert summary["best_val_loss"] <= summary["val_loss"]
    assert {"loss", "mean_absolute_error", "val_mean_absolute_error"} <= set(summary)


def test_pictures_and_report_are_of_numbers(done: tuple[Store, Run]) -> None:
    _, first = done
    pictures = [
        "learning_curves",
        "gradient_flow",
        "error_surface",
        "predicted_vs_true",
        "fitted_function",
        "unit_activity",
    ]
    assert first.artifact("visualize").summary["pictures"] == pictures
    assert first.report is not None
    report = Path(first.report).read_text()
    assert "predict sine" in " ".join(report.split())
    assert "accuracy" not in report
    low, high = first.artifact("evaluate").summary["intervals"]["test_r2"]
    assert low < first.metrics["test_r2"] < high
    assert f"{low:.4g} to {high:.4g}" in report


def test_an_exported_file_says_how_its_outputs_are_scaled(done: tuple[Store, Run]) -> None:
    import onnx

    _, first = done
    network = load_network(*first.artifact("finetune").tensors("model"))
    model = onnx.load(first.artifact("export").path("model.onnx"))
    about = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert about["target_names"] == ["sine"]
    assert tuple(about["target_scaling"]["scale"]) == network.target_scaling.scale


def test_a_second_run_computes_nothing_and_another_loss_only_what_follows_training(done: tuple[Store, Run]) -> None:
    store, _ = done
    assert computed(run(store)) == []
    after = ["finetune", "evaluate", "visualize", "export", "report"]
    shown = ("visualize=[learning_curves]", "export=[safetensors]")
    run(store, *shown)
    assert computed(run(store, "train.loss=mean_absolute_error", *shown)) == after


def test_without_scaling_the_network_gives_the_data_s_own_numbers(done: tuple[Store, Run]) -> None:
    store, _ = done
    plain = run(store, "data.target_scaling=none", "train.epochs=1", "visualize=[]", "export=[]")
    document = plain.artifact("finetune").tensors("model")[1]
    assert document["target_scaling"] == {"offset": 0.0, "scale": 1.0, "range": None}


def test_two_numbers_of_a_users_own_are_learnt_together(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (200, 3)).astype(np.float32)
    y = np.stack([x[:, 0] + x[:, 1], 100 * x[:, 2]], 1)
    np.savez(tmp_path / "my.npz", X=x, y=y)
    source = "data.source={kind: arrays, path: my.npz, images: X, labels: y, target_names: [sum, hundredfold]}"
    shown = ("visualize=[]", "export=[]")
    found = run(Store(tmp_path / "artifacts"), source, "model.layers.1.units=2", *shown, root=tmp_path)
    assert found.metrics["test_r2"] > 0.9
    rows = found.artifact("evaluate").json("evaluation")["per_target"]
    assert [row["name"] for row in rows] == ["sum", "hundredfold"]
    assert found.report is not None
    assert "Results by number" in Path(found.report).read_text()


@pytest.mark.parametrize(
    ("overrides", "place", "message"),
    [
        (["model.layers.1.activation=softmax"], "model.layers.1", "needs numbers from anything but softmax"),
        (["model.layers.1.units=3"], "model.layers.1", "3 outputs for 1 target"),
        (["train.loss=cross_entropy"], "train.loss", "cross_entropy is for classes"),
        (["train.loss=hinge"], "train.loss", "hinge is for classes"),
        (
            ["train.early_stopping={patience: 2, monitor: val_accuracy}"],
            "train.early_stopping.monitor",
            "val_accuracy is not measured of numbers",
        ),
        (
            ["model.layers.1.activation=sigmoid", "data.target_scaling=standard"],
            "data.target_scaling",
            "cannot be scaled",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_with_numbers_is_refused_at_its_place(overrides: list[str], place: str, message: str) -> None:
    said = refused(*overrides)
    assert f"{place}: " in said
    assert message in said


@pytest.mark.parametrize(
    ("overrides", "place", "message"),
    [
        (["data.target_scaling=standard"], "data.target_scaling", "cannot be scaled"),
        (
            ["train.early_stopping={patience: 2, monitor: val_mean_absolute_error}"],
            "train.early_stopping.monitor",
            "is not measured of classes",
        ),
        (["train.loss={kind: cross_entropy, class_weights: [1, 2, 3]}"], "train.loss", "3 class_weights for 2 classes"),
    ],
)
def test_what_does_not_go_with_classes_is_refused_at_its_place(overrides: list[str], place: str, message: str) -> None:
    classes = ["data.source=two_classes", "model.layers.1.units=2", "model.layers.1.activation=softmax"]
    said = refused(*classes, "train.loss=cross_entropy", *overrides)
    assert f"{place}: " in said
    assert message in said


def test_a_stage_refuses_data_that_turn_out_to_be_numbers() -> None:
    from nnpipe.models.architecture import Model
    from nnpipe.stages.material import check_data, check_stopping
    from nnpipe.training.early_stopping import EarlyStopping
    from nnpipe.training.losses.cross_entropy import CrossEntropy

    model = Model.model_validate({"layers": [{"kind": "dense", "units": 1}]})
    with pytest.raises(StageError) as caught:
        check_data(model, (2,), CrossEntropy(), 0, 1)
    assert caught.value.where == "train.loss"
    with pytest.raises(StageError, match="val_accuracy is not measured of numbers"):
        check_stopping(EarlyStopping(patience=1, monitor="val_accuracy"), "validation", 0)
