"""The stage that trains the whole network with labels, from pretrained layers where there are some.

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
from nnpipe.models.scaling import ScalingKind, resolve_scaling
from nnpipe.spec import Part
from nnpipe.stages.splits import read_split
from nnpipe.stages.work import Work
from nnpipe.store.artifact import Artifact
from nnpipe.training.losses import Loss, check_outputs
from nnpipe.training.train import Train

if TYPE_CHECKING:
    from nnpipe.models.network import Network
    from nnpipe.training.loop import History

WEIGHTS = 0  # purpose of the generator of first weights; see nnpipe.training.seeds


class Finetune(Part):
    """What determines the trained network. ``pretrained``: how many weighted layers start from pretraining."""

    model: Model
    train: Train
    scaling: ScalingKind = "auto"
    pretrained: int = Field(0, ge=0)


def finetune(config: Finetune, work: Work) -> None:
    """Train; keep ``model`` (safetensors) and ``history`` (json).

    Raises:
        StageError: the data do not fit the network, or training diverged.
        Interrupted: somebody asked to stop; a checkpoint was kept.
    """
    from nnpipe.models.network import Network, save_document
    from nnpipe.training.classification import Classification
    from nnpipe.training.loop import fit
    from nnpipe.training.seeds import generator

    train = config.train
    with closing(work.inputs["data"].arrays("data")) as file:
        about = file.attributes()
        shape, names = tuple(about["input_shape"]), about["class_names"]
        check_data(config.model, shape, train.loss, names)
        scaling = resolve_scaling(config.scaling, about)
        measured = "validation" if "X_validation" in file.names() else "test"
        if train.early_stopping and measured == "test":
            raise StageError(
                "early stopping needs validation examples",
                where="train.early_stopping",
                found="data without a validation split",
                hint="set data.validation: nothing is ever chosen by the test examples",
            )
        examples, held_out = (read_split(file, split, scaling, work.device) for split in ("train", measured))
    network = Network(config.model, shape, scaling, names, generator(work.seed, WEIGHTS)).place(work.device)
    start_from(network, [work.inputs[f"pretrain/{number}"] for number in range(1, config.pretrained + 1)])
    history = fit(
        Classification(network, train.loss, train.precision),
        train.optimizer.build(network.parameters()),
        examples,
        held_out,
        epochs=train.epochs,
        batch_size=train.batch_size,
        seed=work.seed,
        watch=work,
        early_stopping=train.early_stopping,
    )
    # Of all epochs, those before an interruption too.
    work.timings["epochs"] = [{k: r[k] for k in ("epoch", "seconds", "examples")} for r in history.records]
    weights = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    work.output.tensors("model", weights, save_document(network))
    work.output.json("history", _document(history))
    work.output.summary = {"parameters": sum(p.numel() for p in network.parameters()), **_summary(history)}


def check_data(model: Model, shape: Sequence[int], loss: Loss, class_names: Sequence[str]) -> None:
    """Refuse data that the network cannot read, or whose classes it does not have outputs for."""
    try:
        check_outputs(model, tuple(shape), loss, len(class_names))
    except ShapeError as error:
        raise StageError(
            error.what,
            where="model.layers" if error.index is None else f"model.layers.{error.index}",
            expected=error.expected,
            found=error.found,
            hint=error.hint,
        ) from error


def start_from(network: Network, pretrained: Iterable[Artifact]) -> None:
    """Copy the weights and biases of pretrained layers into the first layers that have weights, in order."""
    import torch

    layers = zip(network.architecture.layers, network.layers, strict=True)
    weighted = (module for layer, module in layers if isinstance(layer, WeightedLayer))
    for number, artifact in enumerate(pretrained, start=1):
        tensors, _ = artifact.tensors("layer")
        module = next(weighted)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if tensors[name].shape != tuple(parameter.shape):
                    raise StageError(
                        f"pretrained layer {number} does not fit the network",
                        expected=f"{name} of shape {tuple(parameter.shape)}",
                        found=f"{tensors[name].shape}",
                    )
                parameter.copy_(torch.tensor(tensors[name]))


def _document(history: History) -> dict[str, Any]:
    return {
        "records": history.without_times(),
        "stopped": history.stopped,
        "kept_epoch": history.kept_epoch,
        "best_epoch": int(_best(history)["epoch"]),
    }


def _summary(history: History) -> dict[str, Any]:
    last = history.records[-1]
    measures = {name: last[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    return {
        "epochs": len(history.records),
        "stopped": history.stopped,
        "kept_epoch": history.kept_epoch,
        **measures,
        "best_val_accuracy": _best(history)["val_accuracy"],
    }


def _best(history: History) -> Mapping[str, float]:
    return max(history.records, key=lambda record: record["val_accuracy"])
