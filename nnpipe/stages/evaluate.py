"""The stage that measures the trained network on the test examples, once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.spec import Part
from nnpipe.stages.splits import class_counts, read_split
from nnpipe.stages.subset import learned_counts
from nnpipe.stages.work import Work
from nnpipe.training.losses import AnyLossOrKind
from nnpipe.training.losses.cross_entropy import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples
    from nnpipe.training.losses.loss import Loss

BATCH = 250


class Evaluate(Part):
    """What is measured. ``model``: the architecture, so that the code of its layers counts; weights are an input."""

    model: Model
    loss: AnyLossOrKind = CrossEntropy()
    top_k: int = Field(5, ge=2)


def evaluate(config: Evaluate, work: Work) -> None:
    """Measure; keep ``predictions`` (arrays) and ``evaluation`` (json); of an autoencoder ``components`` too.

    Raises:
        StageError: there are no test examples.
    """
    from nnpipe.evaluation.classification import measure_classification
    from nnpipe.evaluation.regression import measure_regression
    from nnpipe.models.network import load_network
    from nnpipe.stages.reconstruct import evaluate_reconstruction

    network = load_network(*work.inputs["model"].tensors("model"), config.model).place(work.device)
    with closing(work.inputs["data"].arrays("data")) as file:
        loss = config.loss.resolved(learned_counts(work.inputs["model"]) or class_counts(file.attributes()))
        examples = read_split(work, "test", network.scaling, network.target_scaling)
        truth = file.rows("y_test", 0, file.shape("y_test")[0])
    if not len(examples):
        raise StageError("there are no test examples", where="data.test", expected="at least one", found="none")
    if network.code is not None:
        measured = evaluate_reconstruction(network, loss, examples, truth, work)
    elif network.class_names:
        scores, predicted, losses = predict_classes(network, loss, examples)
        kind = scores_form(config.model, len(network.class_names))
        written = {"margins" if kind == "margins" else "probabilities": scores, "labels": predicted}
        names = network.class_names
        measured = measure_classification(
            truth, scores, predicted, losses, names, kind=kind, top_k=config.top_k, seed=work.seed
        )
        _write_predictions(work, network, written)
    else:
        values, losses = predict_numbers(network, loss, examples)
        measured = measure_regression(truth, values, losses, network.target_names, seed=work.seed)
        _write_predictions(work, network, {"values": values})
    intervals = {name: list(ends) for name, ends in measured.intervals.items()}
    found = {**measured.metrics, "examples": len(examples), "intervals": intervals, **measured.details}
    work.output.json("evaluation", found)
    work.output.summary = {"metrics": measured.metrics, "intervals": intervals}


def predict_classes(network: Network, loss: Loss, examples: Examples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities or margins, (n, classes) float32; labels, (n,) int64; the loss of each example, (n,)."""
    scores, labels, losses = _by_batches(network, loss, examples, network.decide)
    return scores, labels, losses


def predict_numbers(network: Network, loss: Loss, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Numbers in the data's units, (n, targets) float32; the loss of each example, (n,)."""
    values, losses = _by_batches(network, loss, examples, lambda logits: (network.in_units(network.outputs(logits)),))
    return values, losses


def _by_batches(
    network: Network, loss: Loss, examples: Examples, read: Callable[[Tensor], tuple[Tensor, ...]]
) -> list[np.ndarray]:
    """What ``read`` makes of the logits of all examples, and after it the loss of each."""
    import numpy as np
    import torch

    found = []
    with torch.inference_mode():
        for x, y in examples.in_order(BATCH):
            assert y is not None
            logits = network.logits(x)
            batch = (*read(logits), loss.each(network, logits, y))
            found.append([tensor.cpu().numpy() for tensor in batch])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def scores_form(model: Model, classes: int) -> Literal["distribution", "probabilities", "margins"]:
    """What the network says of each class: sigmoids of several outputs need not sum to 1."""
    if model.last_activation == "linear":
        return "margins"
    one = model.last_activation == "softmax" or (classes == 2 and getattr(model.layers[-1], "units", 2) == 1)
    return "distribution" if one else "probabilities"


def _write_predictions(work: Work, network: Network, arrays: dict[str, np.ndarray]) -> None:
    with work.output.arrays("predictions") as writer:
        for name, values in arrays.items():
            writer.allocate(name, values.shape, values.dtype)
            writer.append(name, values)
        writer.attributes = {"class_names": list(network.class_names)}
        if network.target_names:
            writer.attributes["target_names"] = list(network.target_names)
