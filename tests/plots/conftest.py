from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnpipe.evaluation.calibration import calibration_table
from nnpipe.plots.picture import Pretrained, Subject
from nnpipe.training.losses.cross_entropy import CrossEntropy
from nnpipe.training.losses.mean_squared_error import MeanSquaredError

RECORDS = [
    {"epoch": e, "loss": 1 / e, "accuracy": 0.5 + e / 10, "val_loss": 1.2 / e, "val_accuracy": a, "learning_rate": 0.1}
    for e, a in ((1, 0.5), (2, 0.875), (3, 0.75))
]


def make_subject(shape: Sequence[int], layers: Sequence[Mapping[str, Any]], classes: int, **changes: Any) -> Subject:
    """A subject of 12 random test examples; weights are those of ``layers`` that have any, drawn at random."""
    rng = np.random.default_rng(0)
    names = [f"class-{label}" for label in range(classes)]
    probabilities = rng.dirichlet(np.ones(classes), 12).astype(np.float32)
    labels = np.arange(12) % classes
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, probabilities.argmax(1)), 1)
    facts: dict[str, Any] = {
        "attributes": {"input_shape": list(shape), "class_names": names, "value_range": [0, 255], "statistics": {}},
        "tensors": {
            f"layers.{index}.{name}": rng.standard_normal(size).astype(np.float32)
            for index, layer in enumerate(layers)
            for name, size in weights_of(layer)
        },
        "document": {
            "architecture": {"layers": [without_inputs(layer) for layer in layers]},
            "input_shape": list(shape),
            "scaling": {"offset": 0.0, "scale": 1.0},
            "class_names": names,
        },
        "history": {"records": RECORDS, "stopped": "epochs", "best_epoch": 2, "inside": looked_inside(layers)},
        "evaluation": {
            "confusion_matrix": confusion.tolist(),
            "calibration": calibration_table(probabilities.max(1), probabilities.argmax(1) == labels),
            "test_calibration_error": 0.25,
        },
        "inputs": rng.integers(0, 256, (12, *shape)).astype(np.uint8 if len(shape) == 3 else np.float32),
        "truth": labels,
        "predictions": probabilities,
        "loss": CrossEntropy(),
    }
    return Subject(**(facts | changes))


def looked_inside(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, float]]]:
    """What was seen before training and after each epoch: the gradient doubles by layer, halves by epoch."""
    return [
        {str(i): {"gradient_norm": 2.0 ** (i - epoch)} for i, layer in enumerate(layers) if weights_of(layer)}
        for epoch in range(len(RECORDS) + 1)
    ]


def weights_of(layer: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    if layer["kind"] == "dense":
        return [("weight", (layer["units"], layer["inputs"])), ("bias", (layer["units"],))]
    if layer["kind"] == "conv2d":
        size = layer["kernel"]
        return [("weight", (layer["filters"], layer["inputs"], size, size)), ("bias", (layer["filters"],))]
    return []


def without_inputs(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in layer.items() if name != "inputs"}


def dense(units: int, inputs: int, activation: str = "sigmoid") -> dict[str, Any]:
    return {"kind": "dense", "units": units, "inputs": inputs, "activation": activation}


@pytest.fixture(scope="session")
def images() -> Subject:
    """Grey images of 6 by 6 pixels, three classes, a dense network whose first layer was pretrained."""
    rng = np.random.default_rng(1)
    history = [{"epoch": e, "reconstruction_error": 4.0 / e, "learning_rate": 0.1} for e in (1, 2, 4)]
    tensors = {"weight": rng.standard_normal((7, 36)), "bias": np.zeros(7), "visible_bias": np.zeros(36)}
    kept = {"kind": "dense", "units": 7, "activation": "sigmoid"}
    document = {"layer": kept, "between": [], "visible": [36], "visible_activation": "sigmoid"}
    growing = np.linspace(0, 1, 3)[:, None, None] * tensors["weight"]
    snapshots = {"weight": growing.astype(np.float16), "epoch": np.array([0, 1, 4])}
    layer = Pretrained(tensors, history, {"method": "rbm", "hidden": 7}, document, snapshots)
    return make_subject((1, 6, 6), [dense(7, 36), dense(3, 7, "softmax")], 3, pretrained=(layer,))


@pytest.fixture(scope="session")
def belief() -> Subject:
    """Grey images of 6 by 6 pixels, three classes, a deep belief net with its way down, both of them random."""
    rng = np.random.default_rng(5)
    top = {"weight": (6, 7), "label_weight": (6, 3), "bias": (6,), "label_bias": (3,)}
    drawn = {f"layers.1.{name}": rng.standard_normal(size).astype(np.float32) for name, size in top.items()}
    first = make_subject((1, 6, 6), [dense(7, 36)], 3)
    down = {"layers.0.weight": (36, 7), "layers.0.bias": (36,), "visible_bias": (7,)}
    memory = {"kind": "classification_rbm", "hidden": 6, "classes": 3, "activation": "softmax"}
    return replace(
        first,
        tensors={**first.tensors, **drawn},
        document={**first.document, "architecture": {"layers": [without_inputs(dense(7, 36)), memory]}},
        generative={name: rng.standard_normal(size).astype(np.float32) for name, size in down.items()},
    )


@pytest.fixture(scope="session")
def colours() -> Subject:
    """Colour images of 5 by 5 pixels, four classes, two convolutions and two dense layers."""
    first = {"kind": "conv2d", "filters": 6, "kernel": 3, "inputs": 3, "activation": "relu"}
    second = {"kind": "conv2d", "filters": 4, "kernel": 2, "inputs": 6, "activation": "relu"}
    layers = [first, second, {"kind": "flatten"}, dense(12, 16, "relu"), dense(4, 12, "softmax")]
    return make_subject((3, 5, 5), layers, 4)


@pytest.fixture(scope="session")
def pooled() -> Subject:
    """Grey images of 8 by 8 pixels, three classes; a convolution, pretrained as a denoising autoencoder, and a pool."""
    rng = np.random.default_rng(6)
    convolution = {"kind": "conv2d", "filters": 6, "kernel": 3, "inputs": 1, "activation": "relu"}
    layers = [convolution, {"kind": "max_pool2d", "size": 2}, {"kind": "flatten"}, dense(3, 54, "softmax")]
    tensors = {"weight": rng.standard_normal((6, 1, 3, 3)), "bias": np.zeros(6), "visible_bias": np.zeros(1)}
    method = {"kind": "autoencoder", "corruption": "masking", "level": 0.25}
    document = {
        "layer": without_inputs(convolution),
        "between": [],
        "visible": [1, 8, 8],
        "visible_activation": "sigmoid",
    }
    history = [{"epoch": e, "loss": 4.0 / e, "learning_rate": 0.1} for e in (1, 2)]
    layer = Pretrained(tensors, history, {"method": "autoencoder"}, {**document, "method": method})
    made = make_subject((1, 8, 8), layers, 3, pretrained=(layer,))
    return replace(made, first={name: np.zeros_like(tensor) for name, tensor in made.tensors.items()})


@pytest.fixture(scope="session")
def plane() -> Subject:
    """Points of the plane, two classes, one sigmoid unit that answers with the first feature's sign."""
    tensors = {
        "layers.0.weight": np.array([[8.0, 0.0]], np.float32),
        "layers.0.bias": np.zeros(1, np.float32),
    }
    points = np.random.default_rng(2).uniform(-1, 1, (40, 2)).astype(np.float32)
    right = 1 / (1 + np.exp(-8 * points[:, 0]))
    return make_subject(
        (2,),
        [dense(1, 2)],
        2,
        tensors=tensors,
        inputs=points,
        truth=(points[:, 0] > 0).astype(np.int64),
        predictions=np.stack([1 - right, right], 1),
    )


@pytest.fixture(scope="session")
def encoded() -> Subject:
    """Grey images of 4 by 4 pixels of three classes, a code of three numbers, components and probes beside it."""
    made = make_subject((1, 4, 4), [dense(3, 16), dense(16, 3)], 3)
    rng = np.random.default_rng(5)
    directions = np.linalg.qr(rng.standard_normal((16, 3)))[0].T.astype(np.float32)
    records = [{"epoch": e, "loss": 1 / e, "squared_error": 9 / e, "val_loss": 1.2 / e} for e in (1, 2, 3)]
    probe = {"neighbours": 5, "examples": 100}
    return replace(
        made,
        document={**made.document, "class_names": [], "scaling": {"offset": 0.0, "scale": 255.0}, "code": 0},
        history={"records": records, "stopped": "epochs", "best_epoch": 3},
        evaluation={"test_squared_error": 1.5, "test_pca_squared_error": 2.0},
        predictions=rng.standard_normal((12, 3)).astype(np.float32),
        loss=MeanSquaredError(),
        components={"mean": np.full(16, 0.5, np.float32), "directions": directions},
        probes=[
            {**probe, "linear_accuracy": 0.75, "neighbour_accuracy": 0.5},
            {**probe, "linear_accuracy": 0.875, "neighbour_accuracy": 0.625},
        ],
    )


@pytest.fixture(scope="session")
def line() -> Subject:
    """Inputs x of one number, a linear network that answers 3 x + 10 and x, and targets scattered about that."""
    tensors = {"layers.0.weight": np.array([[1.0], [1.0]], np.float32), "layers.0.bias": np.zeros(2, np.float32)}
    x = np.random.default_rng(3).uniform(-1, 1, (40, 1)).astype(np.float32)
    predictions = np.concatenate([3 * x + 10, x], 1)
    truth = predictions + np.random.default_rng(4).normal(0, 0.1, (40, 2)).astype(np.float32)
    names = ["threefold", "once"]
    records = [{"epoch": e, "loss": 1 / e, "mean_absolute_error": 2 / e, "val_loss": 1.2 / e} for e in (1, 2, 3)]
    made = make_subject((1,), [dense(2, 1, "linear")], 2, tensors=tensors)
    return replace(
        made,
        attributes={"input_shape": [1], "class_names": [], "target_names": names, "value_range": None},
        document={
            **made.document,
            "class_names": [],
            "target_names": names,
            "target_scaling": {"offset": [10.0, 0.0], "scale": [3.0, 1.0]},
        },
        history={"records": records, "stopped": "epochs", "best_epoch": 3},
        evaluation={
            "per_target": [{"name": name, "r2": 0.75} for name in names],
            "test_mean_absolute_error": 0.08,
            "test_root_mean_squared_error": 0.1,
        },
        inputs=x,
        truth=truth,
        predictions=predictions,
        loss=MeanSquaredError(),
    )
