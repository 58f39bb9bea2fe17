"""The stage that measures, against counting by hand."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.scaling import Scaling
from nnpipe.stages.evaluate import Evaluate, evaluate
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output


def sealed(output: Output, stage: str) -> Artifact:
    files = {p.relative_to(output.directory).as_posix() for p in output.directory.rglob("*") if p.is_file()}
    manifest = Manifest(stage, output.content(), output.parts, dict.fromkeys(files, (0, "")), output.summary)
    artifact = Artifact("0" * 64, output.directory, manifest)
    artifact._verified = files
    return artifact


def identity_model(
    folder: Path, outputs: int, activation: str | None = None, targets: tuple[str, ...] = ()
) -> tuple[Model, Artifact]:
    """A network whose logits are its inputs."""
    folder.mkdir()
    activation = activation or ("sigmoid" if outputs == 1 else "softmax")
    model = Model.model_validate({"layers": [{"kind": "dense", "units": outputs, "activation": activation}]})
    names = [] if targets else ["a", "b", "c"][: max(outputs, 2)]
    scaling = Scaling(offset=(10.0, 0.0), scale=(2.0, 5.0)) if targets else None
    random = torch.Generator().manual_seed(0)
    network = Network(model, (outputs,), Scaling(), names, random, targets, scaling)
    weights = {"layers.0.weight": np.eye(outputs, dtype=np.float32), "layers.0.bias": np.zeros(outputs, np.float32)}
    output = Output(folder)
    output.tensors("model", weights, save_document(network))
    return model, sealed(output, "finetune")


def examples(folder: Path, x: np.ndarray, y: list[int] | np.ndarray) -> Artifact:
    folder.mkdir()
    output = Output(folder)
    with output.arrays("data") as writer:
        answers = y if isinstance(y, np.ndarray) else np.array(y, np.int64)
        for name, values in (("X_test", x.astype(np.float32)), ("y_test", answers)):
            writer.allocate(name, values.shape, values.dtype)
            writer.append(name, values)
        writer.attributes = {"statistics": {"class_counts": {"train": [4, 1, 1][: int(answers.max(initial=0)) + 1]}}}
    return sealed(output, "ingest")


def evaluated(
    tmp_path: Path, outputs: int, x: np.ndarray, y: Any, loss: Any = "cross_entropy", **network: Any
) -> Artifact:
    model, trained = identity_model(tmp_path / "model", outputs, **network)
    inputs = {"data": examples(tmp_path / "data", x, y), "model": trained}
    folder = tmp_path / "evaluation"
    folder.mkdir()
    work = Work("evaluate", inputs, Output(folder), 0, tmp_path, DiskCheckpoints(tmp_path, 1000))
    evaluate(Evaluate(model=model, loss=loss), work)
    return sealed(work.output, "evaluate")


def test_three_classes_are_counted_as_by_hand(tmp_path: Path) -> None:
    x = np.log(np.array([[8, 1, 1], [2, 6, 2], [1, 7, 2], [1, 1, 8], [5, 4, 1]]))
    artifact = evaluated(tmp_path, 3, x, [0, 0, 1, 2, 2])
    found = artifact.json("evaluation")
    assert found["confusion_matrix"] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found["test_accuracy"] == 0.6
    assert found["test_loss"] == pytest.approx(-np.log([0.8, 0.2, 0.7, 0.8, 0.1]).mean(), rel=1e-6)
    assert found["per_class"][0] == {"name": "a", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert found["per_class"][2]["f1"] == pytest.approx(2 / 3)
    assert found["test_macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert found["test_macro_precision"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert found["test_macro_recall"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert artifact.summary["metrics"] == {name: found[name] for name in artifact.summary["metrics"]}
    with closing(artifact.arrays("predictions")) as file:
        np.testing.assert_allclose(file.rows("probabilities", 0, 5)[1], [0.2, 0.6, 0.2], rtol=1e-6)
        assert file.rows("labels", 0, 5).tolist() == [0, 1, 1, 2, 0]
        assert file.dtype("probabilities") == np.float32
        assert file.attributes()["class_names"] == ["a", "b", "c"]


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mean_squared_error"])
def test_one_unit_decides_between_two_classes(tmp_path: Path, loss: str) -> None:
    p = np.array([0.1, 0.4, 0.6, 0.9])
    artifact = evaluated(tmp_path, 1, np.log(p / (1 - p))[:, None], [0, 1, 0, 1], loss)
    found, right = artifact.json("evaluation"), np.array([0.9, 0.4, 0.4, 0.9])
    assert found["confusion_matrix"] == [[1, 1], [1, 1]]
    assert found["test_roc_auc"] == 0.75
    expected = ((1 - right) ** 2).mean() if loss == "mean_squared_error" else -np.log(right).mean()
    assert found["test_loss"] == pytest.approx(expected, rel=1e-6)
    with closing(artifact.arrays("predictions")) as file:
        np.testing.assert_allclose(file.rows("probabilities", 0, 4), np.stack([1 - p, p], 1), rtol=1e-6)


def test_many_batches_are_measured_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 3)), rng.integers(0, 3, 23).tolist()
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    whole = evaluated(tmp_path / "whole", 3, x, y).json("evaluation")
    monkeypatch.setattr("nnpipe.stages.evaluate.BATCH", 4)
    parts = evaluated(tmp_path / "parts", 3, x, y).json("evaluation")
    assert parts.pop("test_loss") == pytest.approx(whole.pop("test_loss"), rel=1e-6)
    assert parts == whole


def test_the_loss_is_weighed_by_the_classes_of_the_training_examples(tmp_path: Path) -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]])
    loss = {"kind": "cross_entropy", "class_weights": "balanced"}
    found = evaluated(tmp_path, 3, np.log(p), [0, 1, 2], loss).json("evaluation")
    assert found["test_loss"] == pytest.approx(-([0.5, 2, 2] * np.log([0.8, 0.6, 0.7])).mean(), rel=1e-6)
    assert found["test_log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.7]).mean(), rel=1e-6)


@pytest.mark.parametrize(("outputs", "y"), [(1, [1, 0, 0, 1]), (3, [2, 1, 0, 1])])
def test_a_network_of_margins_keeps_them_and_claims_no_probabilities(
    tmp_path: Path, outputs: int, y: list[int]
) -> None:
    x = np.random.default_rng(0).normal(size=(4, outputs))
    artifact = evaluated(tmp_path, outputs, x, y, "hinge", activation="linear")
    found = artifact.json("evaluation")
    assert found["scores"] == "margins"
    assert not {"test_log_loss", "test_brier_score", "calibration"} & set(found)
    with closing(artifact.arrays("predictions")) as file:
        margins, labels = file.rows("margins", 0, 4), file.rows("labels", 0, 4)
    np.testing.assert_allclose(margins, np.concatenate([-x, x], 1) if outputs == 1 else x, rtol=1e-6)
    assert labels.tolist() == margins.argmax(1).tolist()


def test_numbers_are_measured_in_the_units_of_the_data(tmp_path: Path) -> None:
    outputs = np.array([[0.0, 0.0], [1.0, -1.0], [2.0, 1.0]])
    truth = np.array([[10.0, 1.0], [13.0, -5.0], [14.0, 5.0]], np.float32)
    network = {"activation": "linear", "targets": ("first", "second")}
    artifact = evaluated(tmp_path, 2, outputs, truth, "mean_squared_error", **network)
    found = artifact.json("evaluation")
    assert found["test_mean_absolute_error"] == pytest.approx((1 / 3 + 1 / 3) / 2)
    assert found["test_loss"] == pytest.approx(((1 / 2) ** 2 + (1 / 5) ** 2) / 6), "of scaled numbers"
    assert [row["name"] for row in found["per_target"]] == ["first", "second"]
    assert artifact.summary["intervals"]["test_r2"] == found["intervals"]["test_r2"]
    with closing(artifact.arrays("predictions")) as file:
        np.testing.assert_allclose(file.rows("values", 0, 3), [[10, 0], [12, -5], [14, 5]])
        assert file.attributes() == {"class_names": [], "target_names": ["first", "second"]}


def test_no_test_examples_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no test examples"):
        evaluated(tmp_path, 3, np.zeros((0, 3)), [])
