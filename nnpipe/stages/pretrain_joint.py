"""The stage in which layers that were pretrained one at a time learn on together, from the data."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from pydantic import Field

from nnpipe.models.scaling import ScalingKind, resolve_scaling
from nnpipe.pretraining.joint import AnyJoint
from nnpipe.spec import Part
from nnpipe.stages.pretrained import joint_layer
from nnpipe.stages.splits import examples_of, stored
from nnpipe.stages.work import Work
from nnpipe.training.precision import PrecisionOrAuto, settled

if TYPE_CHECKING:
    from nnpipe.training.examples import Examples

SPLITS = ("train", "validation", "test")


class PretrainJoint(Part):
    """How they learn. layers: how many there are. precision: that of ``pretrain``."""

    joint: AnyJoint
    layers: int = Field(ge=1)
    scaling: ScalingKind
    precision: PrecisionOrAuto


def pretrain_joint(config: PretrainJoint, work: Work) -> None:
    """Learn; write the tensors of each layer, ``layer_1`` and on, as a network can start from them, and the history.

    Raises:
        DataError: the data cannot be scaled as the spec says.
        Interrupted: somebody asked to stop; a checkpoint was kept.
    """
    from nnpipe.training.loop import fit
    from nnpipe.training.regime import Regime

    joint, splits = config.joint, _examples(config.scaling, work)
    alone = [work.inputs[f"pretrain/{number}"].tensors("layer")[0] for number in range(1, config.layers + 1)]
    objective = joint.objective(alone, splits["train"], work.seed, settled(config.precision))
    history = fit(
        objective,
        joint.optimizer.build(objective.module.parameters()),
        splits["train"],
        splits.get("validation"),
        Regime(joint.epochs, joint.batch_size, joint.schedule, joint.momentum_schedule, shuffle=joint.shuffle),
        seed=work.seed,
        watch=work,
    )
    # Of all epochs, those before an interruption too.
    work.timings["epochs"] = [{k: r[k] for k in ("epoch", "seconds", "examples")} for r in history.records]
    layers = [{name: t.cpu().numpy() for name, t in layer.items()} for layer in objective.layers()]
    for number, layer in enumerate(layers, start=1):
        work.output.tensors(joint_layer(number), layer)
    records = history.without_times()
    work.output.json("history", records)
    conclusion = objective.conclude(splits, work.stopping)
    if conclusion:
        work.output.json("conclusion", dict(conclusion))
    measures = {name: value for name, value in records[-1].items() if name not in ("epoch", "learning_rate")}
    units = [layers[0]["weight"].shape[1], *(len(layer["bias"]) for layer in layers)]
    work.output.summary |= {"method": joint.kind, "units": units, "epochs": len(records), **measures, **conclusion}


def _examples(scaling: ScalingKind, work: Work) -> dict[str, Examples]:
    """Those of each split."""
    data = work.inputs["data"]
    with closing(data.arrays("data")) as file:
        resolved, names = resolve_scaling(scaling, file.attributes()), file.names()
    there = [split for split in SPLITS if f"X_{split}" in names]
    return {split: examples_of(stored(data, "data", f"X_{split}"), None, resolved, work) for split in there}
