"""A deep belief net with labels on real digits: pretrained, fine-tuned by up-down, measured and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnpipe

SPEC: dict[str, Any] = {
    "version": 1,
    "name": "belief",
    "data": {"source": "digits"},
    "model": {
        "layers": [
            {"kind": "dense", "units": 100, "activation": "sigmoid"},
            {"kind": "dense", "units": 60, "activation": "sigmoid"},
            {"kind": "classification_rbm", "hidden": 200, "classes": 10},
        ]
    },
    "pretrain": {"method": "rbm", "layers": 3, "epochs": 15, "batch_size": 20},
    "train": {
        "algorithm": {"kind": "up_down", "gibbs_steps": [[0, 1], [2, 3]]},
        "optimizer": {"kind": "sgd", "learning_rate": 0.02},
        "epochs": 4,
        "batch_size": 20,
    },
    "visualize": ["learning_curves"],
    "export": ["onnx"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("belief")


def run(store: Path, until: str = "report", **changes: Any) -> Any:
    return nnpipe.run(SPEC, set=changes, store=store, until=until, engine="local", device="cpu", threads=1)


@pytest.fixture(scope="module")
def finished(store: Path) -> Any:
    return run(store)


def test_pretraining_alone_classifies_and_up_down_keeps_it(store: Path, finished: Any) -> None:
    alone = run(store, "evaluate", **{"train.epochs": 0})
    assert alone.metrics["test_accuracy"] > 0.85
    assert finished.metrics["test_accuracy"] > 0.85
    assert finished.metrics["test_accuracy"] > alone.metrics["test_accuracy"] - 0.02
    assert finished.metrics["test_loss"] < alone.metrics["test_loss"]


def test_the_top_layer_was_taught_with_labels_and_keeps_what_generates(finished: Any) -> None:
    tensors, _ = finished.artifact("pretrain/3").tensors("layer")
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "weight": (200, 60),
        "label_weight": (200, 10),
        "bias": (200,),
        "label_bias": (10,),
        "visible_bias": (60,),
    }
    assert finished.artifact("pretrain/3").summary["accuracy"] > 0.85
    assert finished.artifact("pretrain/3").arrays("representation").shape("H_train")[1] == 10


def test_the_way_down_is_kept_beside_the_network(finished: Any) -> None:
    artifact = finished.artifact("finetune")
    generative, _ = artifact.tensors("generative")
    network, _ = artifact.tensors("model")
    assert generative["layers.1.weight"].shape == (100, 60)
    assert generative["visible_bias"].shape == (60,)
    # Untied: they went their own way from the transposed.
    assert abs(generative["layers.1.weight"] - network["layers.1.weight"].T).max() > 1e-3
    assert {name for name in network if name.startswith("layers.2.")} == {
        f"layers.2.{name}" for name in ("weight", "label_weight", "bias", "label_bias")
    }


def test_another_number_of_gibbs_steps_reuses_all_pretraining(store: Path, finished: Any) -> None:
    plan = nnpipe.plan(SPEC, set={"train.algorithm.gibbs_steps": 2}, store=store)
    assert [plan[f"pretrain/{number}"].status for number in (1, 2, 3)] == ["reuse"] * 3
    assert plan["finetune"].status == "compute"
