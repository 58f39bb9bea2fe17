"""The stage that trains the whole network with labels or numbers, from pretrained layers where there are some.

An unrolled network learns its own inputs, whatever labels or numbers there are.

Validation examples choose the epoch when there is early stopping; without a validation split the epochs are measured
on the test examples, and nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import Field

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ShapeError, WeightedLayer
from nnpipe.models.scaling import ScalingKind, TargetScalingKind, resolve_scaling, resolve_target_scaling
from nnpipe.spec import Part
from nnpipe.stages.splits import class_counts, read_split
from nnpipe.stages.starting import start_from_run
from nnpipe.stages.subset import learned_from
from nnpipe.stages.unroll import check_range, check_reconstruction, start_decoder_from
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.losses.loss import Loss, LossError
from nnpipe.training.losses.outputs import check_outputs
from nnpipe.training.train import Train

if TYPE_CHECKING:
    from torch import nn

    from nnpipe.models.network import Network
    from nnpipe.training.history import History

MEASURES = (
    "loss", "accuracy", "mean_absolute_error", "squared_error",
    "val_loss", "val_accuracy", "val_mean_absolute_error", "val_squared_error",
)  # fmt: skip
WEIGHTS = 0  # purpose of the generator of first weights; see nnpipe.training.seeds


class Finetune(Part):
    """What determines the trained network. ``pretrained``: how many weighted layers start from pretraining."""

    model: Model
    train: Train
    scaling: ScalingKind = "auto"
    target_scaling: TargetScalingKind = "auto"
    pretrained: int = Field(0, ge=0)


def finetune(config: Finetune, work: Work) -> None:
    """Train; keep ``model`` (safetensors), ``history`` (json) and what the algorithm learned besides the network.

    ``examples`` (json) too, if not all are learned from.

    Raises:
        StageError: the data do not fit the network or the loss, or training diverged.
        DataError: the data cannot be scaled as the spec says.
        Interrupted: somebody asked to stop; a checkpoint was kept.
    """
    from nnpipe.models.network import Network, save_document
    from nnpipe.training.algorithms.algorithm import Learning
    from nnpipe.training.inspection import NetworkInspector
    from nnpipe.training.loop import fit
    from nnpipe.training.seeds import generator

    train, unroll = config.train, config.model.unroll
    with closing(work.inputs["data"].arrays("data")) as file:
        about, rows = file.attributes(), None
        if train.examples is not None:
            rows, about = learned_from(file, train.examples, work.seed)
        shape, classes, targets = tuple(about["input_shape"]), about["class_names"], about.get("target_names", [])
        model = config.model.unrolled(shape)
        if unroll:
            classes, targets = [], []
            check_reconstruction(config.model, shape, train.loss)
        else:
            check_data(model, shape, train.loss, len(classes), len(targets))
        scaling = resolve_scaling(config.scaling, about)
        linear = model.last_activation == "linear" and not unroll
        target_scaling = resolve_target_scaling(config.target_scaling, about, linear)
        measured = "validation" if "X_validation" in file.names() else "test"
        if train.early_stopping:
            check_stopping(train.early_stopping, measured, None if unroll else len(classes))
        examples = read_split(file, "train", scaling, work.device, target_scaling, rows)
        held_out = read_split(file, measured, scaling, work.device, target_scaling)
    weights = generator(work.seed, WEIGHTS)
    network = Network(model, shape, scaling, classes, weights, targets, target_scaling, config.model.code)
    network.place(work.device)
    pretrained = [work.inputs[f"pretrain/{number}"] for number in range(1, config.pretrained + 1)]
    ready = start_from(network, pretrained)
    if unroll:
        ready += start_decoder_from(network, pretrained)
        check_range(unroll, examples, config.scaling)
    if train.start:
        ready += start_from_run(network, work.inputs["start"], train.start)
    loss, layers = train.loss.resolved(class_counts(about)), (layer.tensors("layer")[0] for layer in pretrained)
    learning = Learning(network, loss, train.precision, examples, layers, work.seed)
    objective = train.algorithm.objective(learning)
    history = fit(
        objective,
        train.optimizer.build(objective.module.parameters()),
        examples,
        held_out,
        train.regime(parameter for layer in ready for parameter in layer.parameters()),
        seed=work.seed,
        watch=work,
        inspector=NetworkInspector(network, objective, examples),
    )
    # Of all epochs, those before an interruption too.
    work.timings["epochs"] = [{k: r[k] for k in ("epoch", "seconds", "examples")} for r in history.records]
    tensors = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    work.output.tensors("model", tensors, save_document(network))
    for name, module in train.algorithm.kept(objective).items():
        work.output.tensors(name, {key: tensor.cpu().numpy() for key, tensor in module.state_dict().items()})
    work.output.json("history", _document(history))
    work.output.summary = {"parameters": sum(p.numel() for p in network.parameters()), **_summary(history)}
    if train.examples:
        work.output.json("examples", {"class_counts": class_counts(about)})
        work.output.summary["examples"] = train.examples


def check_data(model: Model, shape: Sequence[int], loss: Loss, classes: int, targets: int = 0) -> None:
    """Refuse data that the network cannot read, or whose classes or targets it does not have outputs for."""
    try:
        check_outputs(model, tuple(shape), loss, classes, targets)
    except ShapeError as error:
        layer = "model.layers" if error.index is None else f"model.layers.{error.index}"
        raise StageError(
            error.what,
            where="train.loss" if isinstance(error, LossError) else layer,
            expected=error.expected,
            found=error.found,
            hint=error.hint,
        ) from error


def check_stopping(stopping: EarlyStopping, measured: str, classes: int | None) -> None:
    """Refuse early stopping by the test examples, or by what is not measured.

    classes: 0 for numbers, None for inputs that are to be given back.
    """
    if measured == "test":
        raise StageError(
            "early stopping needs validation examples",
            where="train.early_stopping",
            found="data without a validation split",
            hint="set data.validation: nothing is ever chosen by the test examples",
        )
    if not stopping.measured(classes):
        answers = "inputs" if classes is None else "classes" if classes else "numbers"
        raise StageError(
            f"{stopping.monitor} is not measured of {answers}",
            where="train.early_stopping.monitor",
            expected="val_loss, which always is",
            found=stopping.monitor,
        )


def start_from(network: Network, pretrained: Iterable[Artifact]) -> list[nn.Module]:
    """Copy the weights and biases of pretrained layers into the first layers that have weights, in order; these."""
    import torch

    layers = zip(network.architecture.layers, network.layers, strict=True)
    weighted, filled = (module for layer, module in layers if isinstance(layer, WeightedLayer)), []
    for number, artifact in enumerate(pretrained, start=1):
        tensors, _ = artifact.tensors("layer")
        module = next(weighted)
        filled.append(module)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if tensors[name].shape != tuple(parameter.shape):
                    raise StageError(
                        f"pretrained layer {number} does not fit the network",
                        expected=f"{name} of shape {tuple(parameter.shape)}",
                        found=f"{tensors[name].shape}",
                    )
                parameter.copy_(torch.tensor(tensors[name]))
    return filled


def _document(history: History) -> dict[str, Any]:
    return {
        "records": history.without_times(),
        "stopped": history.stopped,
        "kept_epoch": history.kept_epoch,
        "best_epoch": int(_best(history)["epoch"]) if history.records else None,
        "inside": history.inside,
    }


def _summary(history: History) -> dict[str, Any]:
    summary = {"epochs": len(history.records), "stopped": history.stopped, "kept_epoch": history.kept_epoch}
    if not history.records:  # the first weights were asked for, and nothing else
        return summary
    last, judged = history.records[-1], _judged(history)
    measures = {name: last[name] for name in MEASURES if name in last}
    return {**summary, **measures, f"best_{judged}": _best(history)[judged]}


def _best(history: History) -> Mapping[str, float]:
    """The record of the first epoch that did best."""
    if _judged(history) == "val_accuracy":
        return max(history.records, key=lambda record: record["val_accuracy"])
    return min(history.records, key=lambda record: record["val_loss"])


def _judged(history: History) -> str:
    """The measure that tells which epoch did best."""
    return "val_accuracy" if "val_accuracy" in history.records[0] else "val_loss"
