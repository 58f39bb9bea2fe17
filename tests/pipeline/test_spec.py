from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnpipe.errors import SpecError
from nnpipe.pipeline.graph import stages_of
from nnpipe.pipeline.spec import Spec, check_spec, read_spec
from nnpipe.pipeline.sweep import read_family
from nnpipe.spec.document import Document
from nnpipe.spec.matrix import has_matrix

SPECS = Path(__file__).parents[2] / "specs"


def problem(text: str, *overrides: str, root: Path = Path()) -> str:
    with pytest.raises(SpecError) as caught:
        check_spec(Document.parse(text, "a.yaml"), overrides, root)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def spec(layers: str, data: str = "{source: digits}", train: str = "{}") -> str:
    return f"version: 1\nname: a\ndata: {data}\nmodel:\n  layers:\n{layers}train: {train}\n"


DENSE = "    - {kind: dense, units: 10, activation: softmax}\n"


@pytest.mark.parametrize("path", sorted(SPECS.glob("**/*.yaml")), ids=lambda path: path.stem)
def test_every_spec_of_the_repository_is_right(path: Path) -> None:
    document = Document.read(path)
    family = read_family(document, (), path.parent).members if has_matrix(document) else ()
    for spec in [member.spec for member in family] or [read_spec(path)]:
        assert stages_of(spec)[-1].name == "report"


def test_the_stages_of_a_deep_belief_net_come_in_order() -> None:
    names = [stage.name for stage in stages_of(read_spec(SPECS / "mnist_dbn.yaml"))]
    layers = ["pretrain/1", "pretrain/2", "pretrain/3"]
    assert names == ["ingest", *layers, "finetune", "evaluate", "visualize", "export", "report"]


def test_the_lecture_network_has_its_number_of_parameters() -> None:
    assert read_spec(SPECS / "mnist_convnet.yaml").model.parameters((1, 28, 28)) == 437_482


def test_a_dense_layer_after_a_convolution_without_flatten_is_placed() -> None:
    said = problem(spec("    - {kind: conv2d, filters: 4, kernel: 3, activation: relu}\n" + DENSE))
    assert said.startswith("a.yaml:7:7: model.layers.1: dense reads vectors")
    assert "found     an image of 4x6x6" in said
    assert "{kind: flatten}" in said


def test_augmentation_of_what_is_no_picture_is_placed() -> None:
    layers = "    - {kind: dense, units: 1, activation: sigmoid}\n"
    said = problem(spec(layers, "{source: two_classes}", "{loss: mean_squared_error, augmentation: [flip]}"))
    assert "train.augmentation: only pictures can be augmented" in said
    assert "found     examples of 2 features" in said


def test_a_half_of_what_is_no_autoencoder_is_placed() -> None:
    said = problem(spec(DENSE) + "export:\n  - onnx\n  - {kind: keras, part: encoder}\n")
    assert said.startswith("a.yaml:10:25: export.1.part: only an autoencoder has a part called encoder")
    assert "model.unroll: true" in said


def test_two_exports_that_would_be_one_file_are_placed() -> None:
    said = problem(spec(DENSE) + "export: [onnx, onnx, {kind: onnx, preprocessing: inside}]\n")
    assert said.startswith("a.yaml:8:22: export.2: two exports would be one file, model.onnx")


def test_weights_alone_do_not_scale() -> None:
    said = problem(spec(DENSE) + "export: [{kind: safetensors, preprocessing: inside}]\n")
    assert "export.0.preprocessing: unknown key 'preprocessing'" in said


def test_a_kernel_larger_than_its_input_is_placed() -> None:
    said = problem(spec("    - {kind: conv2d, filters: 4, kernel: 9}\n    - flatten\n" + DENSE))
    assert said.startswith("a.yaml:6:7: model.layers.0")
    assert "9x9" in said
    assert "8x8" in said


def test_ten_outputs_for_three_classes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", X=np.zeros((9, 4), np.float32), y=np.arange(9) % 3)
    data = "{source: {kind: arrays, path: my.npz, images: X, labels: y, class_names: [a, b, c]}}"
    said = problem(spec(DENSE, data), root=tmp_path)
    assert said.startswith("a.yaml:6:7: model.layers.0")
    assert "3" in said
    assert "10" in said


def test_an_override_that_is_wrong_is_placed_at_the_override() -> None:
    said = problem(spec(DENSE), "train.epochs=many")
    assert said.startswith("--set train.epochs=many: train.epochs")


def test_an_override_of_an_unknown_field_names_the_nearest() -> None:
    said = problem(spec(DENSE), "train.epoch=3")
    assert "did you mean 'epochs'?" in said


def test_pretraining_a_convolution_by_an_rbm_is_refused() -> None:
    layers = "    - {kind: conv2d, filters: 4, kernel: 3}\n    - flatten\n" + DENSE
    said = problem(spec(layers) + "pretrain: {method: rbm, layers: 1}\n")
    assert said.startswith("a.yaml:6:7: model.layers.0: rbm cannot teach conv2d layers")


def test_one_layers_settings_are_set_by_its_number_and_mistakes_in_them_are_told_there() -> None:
    layers = "    - {kind: dense, units: 8, activation: sigmoid}\n" + DENSE
    text = spec(layers) + "pretrain: {method: rbm, layers: 1}\n"
    found = check_spec(Document.parse(text, "a.yaml"), ("pretrain.per_layer.1.epochs=3",), Path())
    assert found.pretrain is not None
    assert found.pretrain.settings(1).epochs == 3
    for override, name, expected in [
        ("pretrain.per_layer.1.epochs=many", "pretrain.per_layer.1.epochs", "a whole number"),
        ("pretrain.per_layer.1.epoch=3", "pretrain.per_layer.1.epoch", "did you mean 'epochs'?"),
        ("pretrain.per_layer.2.epochs=3", "pretrain.per_layer.2", "there is no layer 2 to pretrain"),
        ("pretrain.per_layer.one.epochs=3", "pretrain.per_layer.one", "a number from 1"),
        ("pretrain.per_layer.1.optimizer=scaled_conjugate_gradient", "pretrain.per_layer.1.optimizer", "has none"),
        ("pretrain.per_layer.1.method.steps=0", "pretrain.per_layer.1.method", "kind"),
    ]:
        said = problem(text, override)
        assert said.startswith(f"--set {override}: {name}")
        assert expected in said


def test_standard_scaling_below_a_boltzmann_machine_is_refused() -> None:
    layers = "    - {kind: dense, units: 8, activation: sigmoid}\n" + DENSE
    said = problem(spec(layers, "{source: digits, scaling: standard}") + "pretrain: {method: rbm, layers: 1}\n")
    assert said.startswith("a.yaml:3:")
    assert "data.scaling: pretraining by rbm reads values as probabilities" in said


def test_early_stopping_without_validation_examples_is_refused() -> None:
    said = problem(spec(DENSE, train="{early_stopping: {patience: 3}}"))
    assert "early stopping needs validation examples" in said


def test_a_licence_that_is_no_expression_of_spdx_is_placed() -> None:
    said = problem(spec(DENSE) + "card:\n  licence: 'MIT, more or less'\n")
    assert said.startswith("a.yaml:9:12: card.licence: ")


def test_a_missing_file_of_arrays_is_placed_at_the_source(tmp_path: Path) -> None:
    said = problem(spec(DENSE, "{source: {kind: arrays, path: my.npz, images: X, labels: y}}"), root=tmp_path)
    assert said.startswith("a.yaml:3:")
    assert "my.npz" in said


def test_the_committed_schema_is_the_current_one(capsys: pytest.CaptureFixture[str]) -> None:
    from nnpipe.cli import main

    assert main(["schema"]) == 0
    committed = (SPECS.parent / "docs" / "spec.schema.json").read_text()
    assert capsys.readouterr().out == committed, "run `make schema`"


def test_the_schema_knows_every_field() -> None:
    schema = json.loads((SPECS.parent / "docs" / "spec.schema.json").read_text())
    assert set(schema["properties"]) == {*Spec.model_fields, "matrix"}
