"""The stage that trains: from artifacts to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnpipe.errors import Interrupted, StageError
from nnpipe.models.architecture import Model
from nnpipe.models.network import load_network
from nnpipe.stages.finetune import Finetune, finetune
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact, Manifest
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.output import Output
from nnpipe.training.train import Train

DENSE = [
    {"kind": "dense", "units": 6, "activation": "sigmoid"},
    {"kind": "dropout", "rate": 0.1},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
TRAIN = {"optimizer": {"kind": "adam", "learning_rate": 0.05}, "epochs": 4, "batch_size": 16}


def sealed(output: Output, stage: str) -> Artifact:
    """What a stage wrote, as an artifact; its files were not hashed, so they are not checked."""
    files = {p.relative_to(output.directory).as_posix() for p in output.directory.rglob("*") if p.is_file()}
    manifest = Manifest(stage, output.content(), output.parts, dict.fromkeys(files, (0, "")), output.summary)
    artifact = Artifact("0" * 64, output.directory, manifest)
    artifact._verified = files
    return artifact


def ingested(folder: Path, validation: bool = True) -> Artifact:
    """120 points about the corners of a triangle as bytes, 60 to train with."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = np.array([[60, 60], [190, 60], [125, 190]])[y] + rng.normal(0, 20, (120, 2))
    splits = {"train": slice(0, 60), "validation": slice(60, 90), "test": slice(90, 120)}
    output = Output(folder)
    with output.arrays("data") as writer:
        for split, rows in splits.items():
            if split == "validation" and not validation:
                continue
            for name, values in (("X", x.round().astype(np.uint8)), ("y", y)):
                writer.allocate(f"{name}_{split}", values[rows].shape, values.dtype)
                writer.append(f"{name}_{split}", values[rows])
        writer.attributes = {"input_shape": [2], "class_names": ["a", "b", "c"], "value_range": [0, 255]}
    return sealed(output, "ingest")


def config(layers: list[Any] | None = None, pretrained: int = 0, **train: Any) -> Finetune:
    model = Model.model_validate({"layers": layers or DENSE})
    return Finetune(model=model, train=Train.model_validate({**TRAIN, **train}), pretrained=pretrained)


@pytest.fixture
def data(tmp_path: Path) -> Artifact:
    return ingested(tmp_path / "data")


@pytest.fixture
def work(tmp_path: Path, data: Artifact) -> Any:
    def make(name: str = "out", seed: int = 3, **inputs: Artifact) -> Work:
        folder = tmp_path / name
        folder.mkdir()
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        checkpoints = DiskCheckpoints(tmp_path / "checkpoints", 1000)
        return Work("finetune", {"data": data, **inputs}, Output(folder), seed, tmp_path, checkpoints)

    return make


def test_it_trains_and_keeps_a_model_that_predicts(work: Any, data: Artifact) -> None:
    done = work()
    finetune(config(epochs=15), done)
    artifact = sealed(done.output, "finetune")
    network = load_network(*artifact.tensors("model"))
    assert network.class_names == ("a", "b", "c")
    assert (network.scaling.offset, network.scaling.scale) == (0, 255)
    history, summary = artifact.json("history"), artifact.summary
    assert [record["epoch"] for record in history["records"]] == list(range(1, 16))
    assert not {"seconds", "examples"} & set(history["records"][0])
    assert (history["stopped"], history["kept_epoch"]) == ("epochs", 15)
    assert summary["val_accuracy"] > 0.9
    assert summary["parameters"] == sum(p.numel() for p in network.parameters()) == 39
    assert summary["best_val_accuracy"] == max(record["val_accuracy"] for record in history["records"])
    assert history["records"][history["best_epoch"] - 1]["val_accuracy"] == summary["best_val_accuracy"]
    assert len(done.timings["epochs"]) == 15


def test_the_same_seed_gives_the_same_content_and_another_another(work: Any) -> None:
    contents = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        done = work(name, seed)
        finetune(config(), done)
        contents.append(done.output.content())
    assert contents[0] == contents[1] != contents[2]


def test_an_interrupted_stage_goes_on_to_the_same_content(work: Any) -> None:
    whole = work("whole")
    finetune(config(), whole)
    stopped = work("stopped")
    stopped.epoch = lambda record, epochs: stopped.stopping.set() if record["epoch"] == 2 else None
    with pytest.raises(Interrupted):
        finetune(config(), stopped)
    resumed = work("resumed")
    finetune(config(), resumed)
    assert resumed.output.content() == whole.output.content()
    assert [entry["epoch"] for entry in resumed.timings["epochs"]] == [1, 2, 3, 4]


def test_pretrained_layers_are_where_training_starts(work: Any, tmp_path: Path) -> None:
    folder = tmp_path / "layer"
    folder.mkdir()
    output = Output(folder)
    tensors = {
        "weight": np.arange(1, 13, dtype=np.float32).reshape(6, 2) / 10,
        "bias": np.full(6, 0.5, np.float32),
        "visible_bias": np.zeros(2, np.float32),
    }
    output.tensors("layer", tensors)
    done = work(**{"pretrain/1": sealed(output, "pretrain/1")})
    unmoving = {"optimizer": {"kind": "sgd", "learning_rate": 1e-30}, "epochs": 1}
    finetune(config(pretrained=1, **unmoving), done)
    weights, _ = sealed(done.output, "finetune").tensors("model")
    np.testing.assert_array_equal(weights["layers.0.weight"], tensors["weight"])
    np.testing.assert_array_equal(weights["layers.0.bias"], tensors["bias"])
    fresh = work("fresh")
    finetune(config(**unmoving), fresh)
    others, _ = sealed(fresh.output, "finetune").tensors("model")
    np.testing.assert_array_equal(weights["layers.2.weight"], others["layers.2.weight"])
    with pytest.raises(StageError, match="pretrained layer 1 does not fit"):
        wide = [{"kind": "dense", "units": 7}, *DENSE[1:]]
        finetune(config(wide, pretrained=1), work("wide", **{"pretrain/1": done.inputs["pretrain/1"]}))


def test_without_a_validation_split_epochs_are_measured_on_the_test_examples(work: Any, tmp_path: Path) -> None:
    done = work(data=ingested(tmp_path / "unsplit", validation=False))
    finetune(config(), done)
    assert "val_accuracy" in done.output.summary
    stopping = work("stopping", data=done.inputs["data"])
    with pytest.raises(StageError, match="early stopping needs validation"):
        finetune(config(early_stopping={"patience": 1}), stopping)


def test_early_stopping_tells_which_epoch_it_kept(work: Any) -> None:
    done = work()
    rate = {"kind": "sgd", "learning_rate": 5.0, "momentum": 0.9}
    finetune(config(epochs=60, optimizer=rate, early_stopping={"patience": 2}), done)
    summary = done.output.summary
    assert summary["stopped"] == "patience"
    assert summary["kept_epoch"] == summary["epochs"] - 2


@pytest.mark.parametrize(
    ("layers", "where", "message"),
    [
        ([{"kind": "dense", "units": 4, "activation": "softmax"}], "model.layers.0", "4 outputs for 3 classes"),
        ([{"kind": "flatten"}, {"kind": "max_pool2d", "size": 2}], "model.layers.1", "max_pool2d reads images"),
    ],
)
def test_data_that_do_not_fit_the_network_are_refused(work: Any, layers: Any, where: str, message: str) -> None:
    with pytest.raises(StageError, match=message) as caught:
        finetune(config(layers), work())
    assert caught.value.where == where
