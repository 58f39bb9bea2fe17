"""The stage that measures the trained network on the test examples, once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.spec import Part
from nnpipe.stages.splits import read_split
from nnpipe.stages.work import Work
from nnpipe.training.losses import Loss, mean_loss

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples

BATCH = 250


class Evaluate(Part):
    """What is measured. ``model``: the architecture, so that the code of its layers counts; weights are an input."""

    model: Model
    loss: Loss = "cross_entropy"


def evaluate(config: Evaluate, work: Work) -> None:
    """Measure; keep ``predictions`` (arrays) and ``evaluation`` (json).

    Raises:
        StageError: there are no test examples.
    """
    from nnpipe.models.network import load_network

    network = load_network(*work.inputs["model"].tensors("model"), config.model).place(work.device)
    with closing(work.inputs["data"].arrays("data")) as file:
        examples = read_split(file, "test", network.scaling, work.device)
    if not len(examples):
        raise StageError("there are no test examples", where="data.test", expected="at least one", found="none")
    probabilities, predicted, loss = predict_all(network, config.loss, examples)
    with work.output.arrays("predictions") as writer:
        for name, values in (("probabilities", probabilities), ("labels", predicted)):
            writer.allocate(name, values.shape, values.dtype)
            writer.append(name, values)
        writer.attributes = {"class_names": list(network.class_names)}
    assert examples.y is not None
    measures, details = measure(examples.y.cpu().numpy(), probabilities, predicted, network.class_names)
    measures = {"test_loss": loss, **measures}
    work.output.json("evaluation", {**measures, "examples": len(examples), **details})
    work.output.summary = {"metrics": measures}


def predict_all(network: Network, loss: Loss, examples: Examples) -> tuple[np.ndarray, np.ndarray, float]:
    """Probabilities, (n, classes) float32; labels, (n,) int64; the mean of ``loss``."""
    import numpy as np
    import torch

    found, total = [], 0.0
    with torch.inference_mode():
        for start in range(0, len(examples), BATCH):
            x, y = examples.rows(start, start + BATCH)
            assert y is not None
            logits = network.logits(x)
            total += float(mean_loss(loss, network, logits, y)) * len(x)
            found.append([tensor.cpu().numpy() for tensor in network.decide(logits)])
    probabilities, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return probabilities, labels, total / len(examples)


def measure(
    truth: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Single numbers, and what is told class by class. truth, predicted: (n,); probabilities: (n, classes).

    A class that was never predicted has precision 0, one that never occurs has recall 0. The area under the ROC curve
    is given for two classes that both occur.
    """
    from sklearn import metrics

    classes = range(len(class_names))
    columns = metrics.precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=0)
    precision, recall, f1, support = (column.tolist() for column in columns)
    confusion = metrics.confusion_matrix(truth, predicted, labels=classes)
    single = {
        "test_accuracy": float(metrics.accuracy_score(truth, predicted)),
        "test_macro_precision": sum(precision) / len(precision),
        "test_macro_recall": sum(recall) / len(recall),
        "test_macro_f1": sum(f1) / len(f1),
    }
    if len(class_names) == 2 and all(support):
        single["test_roc_auc"] = float(metrics.roc_auc_score(truth, probabilities[:, 1]))
    rows = zip(class_names, precision, recall, f1, support, strict=True)
    keys = ("name", "precision", "recall", "f1", "support")
    per_class = [dict(zip(keys, row, strict=True)) for row in rows]
    return single, {"confusion_matrix": confusion.tolist(), "per_class": per_class}
