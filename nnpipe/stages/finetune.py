"""The stage that trains the whole network with labels or numbers, from pretrained layers where there are some.

An unrolled network learns its own inputs, whatever labels or numbers there are.

Validation examples choose the epoch when there is early stopping; without a validation split the epochs are measured
on the test examples, and nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from nnpipe.models.architecture import Model
from nnpipe.models.scaling import ScalingKind, TargetScalingKind
from nnpipe.spec import Part
from nnpipe.stages.import_network import IMPORT
from nnpipe.stages.material import read_material
from nnpipe.stages.pretrained import pretrained_layers
from nnpipe.stages.starting import start_from, start_from_file, start_from_run
from nnpipe.stages.unroll import start_decoder_from
from nnpipe.stages.work import Work
from nnpipe.training.precision import settled
from nnpipe.training.team import Alone
from nnpipe.training.train import Train

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nnpipe.models.network import Network
    from nnpipe.training.history import History
    from nnpipe.training.objective import Objective

MEASURES = (
    "loss", "accuracy", "mean_absolute_error", "squared_error",
    "val_loss", "val_accuracy", "val_mean_absolute_error", "val_squared_error",
)  # fmt: skip
WEIGHTS = 0  # purpose of the generator of first weights; see nnpipe.training.seeds


class Finetune(Part):
    """What determines the trained network.

    pretrained: how many weighted layers start from pretraining. imported: how many layers start from a file.
    """

    model: Model
    train: Train
    scaling: ScalingKind = "auto"
    target_scaling: TargetScalingKind = "auto"
    pretrained: int = Field(0, ge=0)
    imported: int = Field(0, ge=0)

    @property
    def alone(self) -> str | None:
        """Why one process does it, however many there are; None where they can share it."""
        return self.train.alone(self.model)


def finetune(config: Finetune, work: Work) -> None:
    """Train; keep ``model`` (safetensors), ``history`` (json) and what the algorithm learned besides the network.

    ``examples`` (json) too, if not all are learned from.

    Raises:
        StageError: the data do not fit the network or the loss, or training diverged.
        DataError: the data cannot be scaled as the spec says.
        Interrupted: somebody asked to stop; a checkpoint was kept.
    """
    with work.shared() as team:
        learned = learn(config, work, team)
    _write(learned, work)
    for name, module in config.train.algorithm.kept(learned.objective).items():
        work.output.tensors(name, _arrays(module))
    if config.train.examples:
        work.output.json("examples", {"class_counts": learned.class_counts})
        work.output.summary["examples"] = config.train.examples


@dataclass(frozen=True)
class Learned:
    """What training left. class_counts: of the examples that were learned from."""

    network: Network
    objective: Objective
    history: History
    class_counts: Sequence[int]


def learn(config: Finetune, work: Work, team: Alone) -> Learned:
    """Train, and write nothing: all processes of a team do so at once, and learn the same."""
    from nnpipe.training.algorithms.algorithm import Learning
    from nnpipe.training.inspection import NetworkInspector
    from nnpipe.training.loop import fit
    from nnpipe.training.seeds import generator

    train = config.train
    material = read_material(config.model, train, config.scaling, config.target_scaling, work)
    network = material.network(config.model, generator(work.seed, WEIGHTS)).place(work.device)
    pretrained = pretrained_layers(work.inputs, config.pretrained)
    ready = start_from(network, pretrained)
    if config.model.unroll:
        ready += start_decoder_from(network, pretrained)
    if config.imported:
        ready += start_from_file(network, work.inputs[IMPORT], config.imported)
    if train.start:
        ready += start_from_run(network, work.inputs["start"], train.start)
    loss = train.loss.resolved(material.class_counts)
    learning = Learning(network, loss, settled(train.precision), material.examples, pretrained, work.seed)
    objective = train.algorithm.objective(learning)
    history = fit(
        objective,
        train.optimizer.build(objective.module.parameters()),
        material.examples,
        material.held_out,
        train.regime(parameter for layer in ready for parameter in layer.parameters()),
        seed=work.seed,
        watch=work,
        inspector=NetworkInspector(network, objective, material.examples),
        team=team,
    )
    return Learned(network, objective, history, material.class_counts)


def _write(learned: Learned, work: Work) -> None:
    from nnpipe.models.network import save_document

    network, history = learned.network, learned.history
    # Of all epochs, those before an interruption too.
    work.timings["epochs"] = [{k: r[k] for k in ("epoch", "seconds", "examples")} for r in history.records]
    work.output.tensors("model", _arrays(network), save_document(network))
    work.output.json("history", _document(history))
    work.output.summary = {"parameters": sum(p.numel() for p in network.parameters()), **_summary(history)}


def _arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}


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
