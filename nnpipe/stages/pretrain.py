"""The stage that learns one layer, from the data or from what the layer below makes of them."""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import reduce
from math import prod
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.activations import Activation
from nnpipe.models.layers import AnyLayer
from nnpipe.models.layers.layer import Layer, Shape, ShapeError
from nnpipe.models.scaling import Scaling, ScalingKind, resolve_scaling
from nnpipe.pretraining.settings import Settings
from nnpipe.stages.splits import Stored, examples_of, stored
from nnpipe.stages.work import Work
from nnpipe.training.precision import settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nnpipe.pretraining.objective import LayerObjective, Visible
    from nnpipe.pretraining.snapshots import Snapshots
    from nnpipe.training.examples import Examples

SPLITS = ("train", "validation", "test")
BLOCK = 1000  # examples at a time


class PretrainLayer(Settings):
    """One layer, and how it learns.

    between: what the representation below, or the data, goes through before the layer sees it.
    below: the activation that this has left; None where it is data.
    """

    layer: AnyLayer
    between: tuple[AnyLayer, ...] = ()
    below: Activation | None = None
    scaling: ScalingKind


def pretrain(config: PretrainLayer, work: Work) -> None:
    """Learn the layer; write its tensors, its history, and its representation of every split.

    Raises:
        StageError: the layer cannot take what it is given, or the method needs values from 0 to 1 and finds others.
        DataError: the data cannot be scaled as the spec says.
        Interrupted: somebody asked to stop; a checkpoint was kept.
    """
    from nnpipe.pretraining.objective import Concluding
    from nnpipe.training.loop import fit
    from nnpipe.training.regime import Regime

    splits, classes = _examples(config, work)
    if config.method.reads_probabilities(config.below):
        _check_probabilities(config, splits)
    seen = _seen(splits["train"], classes)
    visible, hidden = _shapes(config.layer, seen.shape)
    objective = config.method.objective(config.layer, config.below, seen, work.seed, settled(config.precision))
    snapshots = _watched(config, objective, seen.shape, work)
    history = fit(
        objective,
        config.optimizer.build(objective.module.parameters()),
        splits["train"],
        splits.get("validation"),
        Regime(config.epochs, config.batch_size, config.schedule, config.momentum_schedule, shuffle=config.shuffle),
        seed=work.seed,
        watch=work,
        inspector=snapshots,
    )
    # Of all epochs, those before an interruption too.
    work.timings["epochs"] = [{k: r[k] for k in ("epoch", "seconds", "examples")} for r in history.records]
    records = history.without_times()
    about = config.model_dump(mode="json", include={"method", "layer", "between"})
    about |= {"visible": visible, "visible_activation": config.method.visible_activation(config.below)}
    tensors = {name: p.detach().cpu().numpy() for name, p in objective.module.named_parameters()}
    work.output.tensors("layer", tensors, about)
    work.output.json("history", records)
    if snapshots:
        work.output.tensors("snapshots", {name: kept.cpu().numpy() for name, kept in snapshots.tensors().items()})
    _write_representation(objective, splits, hidden, work)
    conclusion = objective.conclude(splits, work.stopping) if isinstance(objective, Concluding) else {}
    if conclusion:
        work.output.json("conclusion", dict(conclusion))
    measures = {name: value for name, value in records[-1].items() if name not in ("epoch", "learning_rate")}
    work.output.summary |= {"method": config.method.kind, "visible": prod(visible), "hidden": prod(hidden)}
    work.output.summary |= {"epochs": len(records), **measures, **conclusion}
    work.output.summary |= {"labels": True} if config.method.needs_labels(config.layer) else {}


def _examples(config: PretrainLayer, work: Work) -> tuple[dict[str, Examples], int]:
    """The examples of each split as the layer sees them, and how many classes there are.

    Raises:
        StageError: the method needs labels and there are none, or a layer between cannot take what it is given.
    """
    data, below = work.inputs["data"], work.inputs.get("below")
    source, name, prefix = (below, "representation", "H") if below else (data, "data", "X")
    with ExitStack() as opened:
        attributes = opened.enter_context(closing(data.arrays("data"))).attributes()
        names = opened.enter_context(closing(source.arrays(name))).names()
    classes = len(attributes["class_names"])
    needs_labels = config.method.needs_labels(config.layer)
    if needs_labels and not classes:
        raise StageError(
            f"pretraining by {config.method.kind} needs labels",
            where="pretrain.method",
            expected="data with classes",
            found="numbers to learn",
        )
    scaling, found = Scaling() if below else resolve_scaling(config.scaling, attributes), {}
    for split in SPLITS:
        if f"{prefix}_{split}" in names:
            y = stored(data, "data", f"y_{split}").whole().to(work.device) if needs_labels else None
            rows = stored(source, name, f"{prefix}_{split}")
            found[split] = _seen_through(config.between, rows, y, scaling, work)
    return found, classes


def _seen_through(layers: Sequence[Layer], rows: Stored, y: Tensor | None, scaling: Scaling, work: Work) -> Examples:
    """Stored rows as they are where there are no ``layers``; else what they make of them, scaled."""
    import torch

    from nnpipe.models.stack import Stack
    from nnpipe.training.examples import Examples
    from nnpipe.training.file_examples import FileExamples

    if not layers:
        return examples_of(rows, y, scaling, work)
    try:
        stack = Stack(layers, rows.shape[1:], torch.Generator()).eval()  # without weights nothing is drawn
    except ShapeError as error:
        raise _stage_error(error) from error
    seen = FileExamples(rows, y, scaling, work.device, work.memory, through=stack)
    if len(seen) * prod(seen.shape) * torch.float32.itemsize > work.memory:
        return seen
    return Examples(torch.cat([x for x, _ in seen.in_order(BLOCK)]), y, row_bytes=seen.row_bytes)


def _shapes(layer: Layer, seen: Shape) -> tuple[Shape, Shape]:
    """The shape of one example as the layer sees it, and of what it makes of it.

    Raises:
        StageError: the layer cannot take what it is given.
    """
    visible = (prod(seen),) if layer.flattens else seen
    try:
        return visible, layer.output_shape(visible)
    except ShapeError as error:
        raise _stage_error(error) from error


def _stage_error(error: ShapeError) -> StageError:
    return StageError(error.what, where="model.layers", expected=error.expected, found=error.found, hint=error.hint)


def _check_probabilities(config: PretrainLayer, splits: Mapping[str, Examples]) -> None:
    from nnpipe.training.examples import are_probabilities

    for split, examples in splits.items():
        low, high = examples.extremes()
        if not are_probabilities(low, high):
            raise StageError(
                f"pretraining by {config.method.kind} reads values as probabilities",
                where=f"{split} examples, with data.scaling {config.scaling}",
                expected="values from 0 to 1",
                found=f"values from {low:g} to {high:g}",
                hint="set data.scaling: unit, or pretrain with {kind: rbm, visible: gaussian} or "
                "{kind: autoencoder, loss: mean_squared_error}",
            )


def _seen(examples: Examples, classes: int) -> Visible:
    """What there is to tell of the training examples, summed in float64."""
    import torch

    from nnpipe.pretraining.objective import SOME, Visible

    values = (x.flatten(1).double() for x, _ in examples.in_order(BLOCK))
    sums = reduce(torch.add, (torch.stack((x.sum(0), x.square().sum(0))) for x in values))
    mean, square = sums / len(examples)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    some = examples.rows(0, SOME)[0].flatten(1)
    return Visible(examples.shape, mean.float(), deviation.float(), classes, len(examples), some)


def _watched(config: PretrainLayer, objective: LayerObjective, seen: Shape, work: Work) -> Snapshots | None:
    """What keeps the layer's filters as they form, now a part of what learns; None where it does not see an image."""
    from nnpipe.pretraining.snapshots import snapshots_of

    if "below" in work.inputs or config.between:
        return None
    weight = dict(objective.module.named_parameters())["weight"]
    snapshots = snapshots_of(weight, seen, config.epochs)
    if snapshots:
        objective.module.add_module("snapshots", snapshots)
    return snapshots


def _write_representation(objective: LayerObjective, splits: Mapping[str, Examples], hidden: Shape, work: Work) -> None:
    import numpy as np

    with work.output.arrays("representation") as writer:
        for split, examples in splits.items():
            writer.allocate(f"H_{split}", (len(examples), *hidden), np.float32)
            for x, _ in examples.in_order(BLOCK):
                writer.append(f"H_{split}", objective.represent(x).cpu().numpy())
