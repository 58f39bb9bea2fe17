"""A deep autoencoder from the data to the report: pretrained, unrolled, fine-tuned, compared with components."""

from __future__ import annotations

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from nnpipe.errors import SpecError, StageError
from nnpipe.models.network import load_network
from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.local import run_local
from nnpipe.pipeline.plan import make_plan
from nnpipe.pipeline.run import Run
from nnpipe.pipeline.runtime import Runtime
from nnpipe.pipeline.spec import Spec, check_spec
from nnpipe.prediction.model import open_model
from nnpipe.spec.document import Document
from nnpipe.store.store import Store

from .conftest import computed

DEEP = """\
version: 1
name: deep
data: {source: digits, validation: 0.1}
model:
  unroll: true
  layers:
    - {kind: dense, units: 40, activation: sigmoid}
    - {kind: dense, units: 20, activation: sigmoid}
    - {kind: dense, units: 6}
pretrain: {method: {kind: autoencoder, tied: false}, layers: 2, epochs: 4, batch_size: 20}
probe: {examples: 500, neighbours: 3}
train: {loss: binary_cross_entropy, optimizer: {kind: conjugate_gradient}, batch_size: 400, epochs: 15}
export: [safetensors, onnx, torch_export, keras_h5]
"""


def deep(*overrides: str) -> Spec:
    return check_spec(Document.parse(DEEP, "deep.yaml"), overrides, Path())


def run(store: Store, *overrides: str, until: str | None = None) -> Run:
    return run_local(Execution(make_plan(deep(*overrides), store, Path(), until=until), Runtime("cpu", threads=1)))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    store = Store(tmp_path_factory.mktemp("deep") / "artifacts")
    return store, run(store)


def test_it_gives_back_more_than_principal_components_of_the_same_size(done: tuple[Store, Run]) -> None:
    _, first = done
    assert list(first.headline) == ["test_squared_error", "test_pca_squared_error", "test_loss"]
    assert first.metrics["test_squared_error"] < first.metrics["test_pca_squared_error"]
    assert "test_accuracy" not in first.metrics


def test_what_was_measured_is_what_the_network_gives_of_the_test_examples(done: tuple[Store, Run]) -> None:
    _, first = done
    network = load_network(*first.artifact("finetune").tensors("model"))
    with closing(first.artifact("ingest").arrays("data")) as data:
        raw = data.rows("X_test", 0, data.shape("X_test")[0])
    with torch.inference_mode():
        x = torch.from_numpy(network.scaling.apply(raw))
        given_back, codes = network(x).numpy(), network.activations(x)[2].numpy()
    with closing(first.artifact("evaluate").arrays("predictions")) as kept:
        np.testing.assert_allclose(kept.rows("codes", 0, len(raw)), codes, atol=1e-4)
        np.testing.assert_allclose(kept.rows("reconstructions", 0, len(raw)), 16 * given_back, atol=1e-3)
    errors = np.square(x.numpy().reshape(len(raw), -1) - given_back).sum(axis=1)
    assert first.metrics["test_squared_error"] == pytest.approx(errors.mean(), rel=1e-5)


def test_the_decoder_starts_from_what_pretraining_decoded_with(done: tuple[Store, Run]) -> None:
    store, first = done
    start = run(store, "train.epochs=0", until="finetune").artifact("finetune").tensors("model")[0]
    for number, mirrored in ((1, 5), (2, 4)):
        layer = first.artifact(f"pretrain/{number}").tensors("layer")[0]
        np.testing.assert_array_equal(start[f"layers.{number - 1}.weight"], layer["weight"])
        np.testing.assert_array_equal(start[f"layers.{mirrored}.weight"], layer["decoder_weight"])
        np.testing.assert_array_equal(start[f"layers.{mirrored}.bias"], layer["visible_bias"])


def test_a_machines_weights_are_transposed_and_every_layer_is_pretrained_unless_told(tmp_path: Path) -> None:
    machines = ["pretrain={method: rbm, epochs: 1}", "model.layers.2.activation=sigmoid", "train.epochs=0"]
    made = run(Store(tmp_path / "artifacts"), *machines, until="finetune")
    start = made.artifact("finetune").tensors("model")[0]
    for number, mirrored in ((1, 5), (2, 4), (3, 3)):
        layer = made.artifact(f"pretrain/{number}").tensors("layer")[0]
        np.testing.assert_array_equal(start[f"layers.{mirrored}.weight"], layer["weight"].T)
        np.testing.assert_array_equal(start[f"layers.{mirrored}.bias"], layer["visible_bias"])


def test_a_linear_autoencoder_finds_no_more_than_the_principal_components(tmp_path: Path) -> None:
    linear = ["model.layers=[{kind: dense, units: 6}]", "model.unroll={output: linear}", "pretrain=null", "probe=null"]
    training = ["train.loss=mean_squared_error", "train.batch_size=full", "train.epochs=40", "export=[]"]
    found = run(Store(tmp_path / "artifacts"), *linear, *training, until="evaluate").metrics
    assert found["test_squared_error"] == pytest.approx(found["test_pca_squared_error"], rel=0.05)


def test_pictures_that_need_classes_do_not_apply_and_the_report_tells_no_accuracy(done: tuple[Store, Run]) -> None:
    _, first = done
    pictures = first.artifact("visualize").summary["pictures"]
    assert {"autoencoder_reconstructions", "codes", "probes", "learning_curves"} <= set(pictures)
    assert not {"confusion_matrix", "reliability_diagram", "examples"} & set(pictures)
    assert first.report is not None
    report = " ".join(Path(first.report).read_text().split())
    assert "give back its input through a code of 6 numbers" in report
    assert "Squared error of principal components" in report
    assert "Test accuracy" not in report
    assert report.count("· pretrained") == 4


def test_every_format_holds_the_whole_autoencoder(done: tuple[Store, Run]) -> None:
    _, first = done
    entries = {entry["kind"]: entry for entry in first.artifact("export").json("exports")}
    run_here = {"safetensors", "onnx", "torch_export", *(["keras_h5"] if find_spec("keras") else [])}
    assert {kind for kind, entry in entries.items() if entry["verified"]} == run_here
    for entry in entries.values():
        assert entry["accuracy"] is entry["accuracy_of_network"] is entry["same_classes"] is None
        assert entry["examples"] == (359 if entry["verified"] else 0)


def test_its_halves_leave_beside_it_and_are_asked_for_codes_and_pixels(done: tuple[Store, Run]) -> None:
    store, first = done
    halves = "export=[onnx, {kind: onnx, part: encoder}, {kind: onnx, part: decoder, preprocessing: inside}]"
    made = run(store, halves)
    assert computed(made) == ["export", "report"]
    files = made.artifact("export")
    assert [(each["part"], each["file"], each["verified"]) for each in files.json("exports")] == [
        ("whole", "model.onnx", True),
        ("encoder", "encoder.onnx", True),
        ("decoder", "decoder.onnx", True),
    ]
    assert set(files.summary["formats"]) == {"onnx", "onnx encoder", "onnx decoder"}
    with closing(made.artifact("ingest").arrays("data")) as data:
        raw = data.rows("X_test", 0, data.shape("X_test")[0])
    with closing(first.artifact("evaluate").arrays("predictions")) as kept:
        codes, given_back = (kept.rows(name, 0, len(raw)) for name in ("codes", "reconstructions"))
    encoder, decoder = (open_model(Path(files.path(name))) for name in ("encoder.onnx", "decoder.onnx"))
    np.testing.assert_allclose(encoder.predict(raw), codes, rtol=0, atol=1e-4)
    np.testing.assert_allclose(decoder.predict(codes), given_back, rtol=0, atol=1e-3)
    assert encoder.names == ("code_0", "code_1", "code_2", "code_3", "code_4", "code_5")
    assert decoder.names[-1] == "pixel_7_7"
    report = " ".join(Path(made.report or "").read_text().split())
    assert '<th scope="row" class="word">onnx, encoder</th><td>encoder.onnx</td>' in report
    assert "decoder.onnx reads raw values, and gives numbers in the data's units. The others read scaled" in report
    assert "A decoder reads codes as the encoder gives them." in report


def test_another_loss_computes_only_what_follows_training(done: tuple[Store, Run]) -> None:
    store, _ = done
    assert computed(run(store)) == []
    after = ["finetune", "evaluate", "visualize", "export", "report"]
    shown = ("visualize=[learning_curves]", "export=[safetensors]")
    run(store, *shown)
    assert computed(run(store, "train.loss=mean_squared_error", "train.epochs=1", *shown)) == after


@pytest.mark.parametrize(
    ("overrides", "place", "message"),
    [
        (["train.loss=cross_entropy"], "train.loss", "an autoencoder's answers are its inputs"),
        (["train.loss=hinge"], "train.loss", "an autoencoder's answers are its inputs"),
        (["model.unroll={output: linear}"], "train.loss", "binary_cross_entropy needs outputs from 0 to 1"),
        (["model.unroll={output: relu}"], "model.unroll.output", "'sigmoid' or 'linear'"),
        (["model.layers.1={kind: batch_norm}"], "model.layers.1", "only dense layers can be unrolled"),
        (["pretrain.method=supervised"], "pretrain.method", "the decoder needs what gives inputs back"),
        (["data.target_scaling=standard"], "data.target_scaling", "answers are its inputs"),
        (
            ["train.early_stopping={patience: 2, monitor: val_accuracy}"],
            "train.early_stopping.monitor",
            "val_accuracy is not measured of inputs",
        ),
        (
            ["data.scaling=standard", "pretrain=null", "train.loss=mean_squared_error"],
            "data.scaling",
            "sigmoid units give values from 0 to 1",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_with_an_autoencoder_is_refused_at_its_place(
    overrides: list[str], place: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        deep(*overrides)
    said = str(caught.value)
    assert f"{place}: " in said
    assert message in said


def test_values_that_sigmoid_units_cannot_reach_are_refused_when_they_are_seen(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="the inputs to give back are others") as caught:
        run(Store(tmp_path / "artifacts"), "data.scaling=none", "pretrain=null", "probe=null", until="finetune")
    assert caught.value.found == "values from 0 to 16"


def test_early_stopping_by_the_loss_keeps_the_best_epoch(done: tuple[Store, Run]) -> None:
    store, _ = done
    adam = ["train.optimizer={kind: adam, learning_rate: 0.03}", "train.batch_size=20", "train.epochs=30"]
    made = run(store, *adam, "train.early_stopping={patience: 2}", until="finetune")
    history = made.artifact("finetune").json("history")
    losses = [record["val_loss"] for record in history["records"]]
    assert history["kept_epoch"] == int(np.argmin(losses)) + 1
