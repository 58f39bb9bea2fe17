"""What a network is trained on: the examples, the answers that are wanted, and how both are scaled; all checked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import Shape, ShapeError
from nnpipe.models.scaling import Scaling, ScalingKind, TargetScalingKind, resolve_scaling, resolve_target_scaling
from nnpipe.stages.import_network import IMPORT
from nnpipe.stages.splits import class_counts, read_split
from nnpipe.stages.subset import learned_from
from nnpipe.stages.unroll import check_range, check_reconstruction, misfit
from nnpipe.stages.work import Work
from nnpipe.training.early_stopping import EarlyStopping
from nnpipe.training.losses.loss import Loss
from nnpipe.training.losses.outputs import check_outputs
from nnpipe.training.train import Train

if TYPE_CHECKING:
    import torch

    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples


@dataclass(frozen=True)
class Material:
    """What there is to learn from.

    shape: of one example.
    class_names: empty where the answers are numbers, ``target_names``; both empty where they are the inputs.
    class_counts: of the examples that are learned from.
    held_out: what is measured after each epoch: the validation examples, or the test examples where there are none.
    """

    shape: Shape
    class_names: Sequence[str]
    target_names: Sequence[str]
    class_counts: Sequence[int]
    scaling: Scaling
    target_scaling: Scaling
    examples: Examples
    held_out: Examples

    def network(self, model: Model, generator: torch.Generator) -> Network:
        """The network for it, unrolled where ``model`` says so, first weights drawn from ``generator``."""
        from nnpipe.models.network import Network

        whole, names = model.unrolled(self.shape), (self.class_names, self.target_names)
        return Network(whole, self.shape, self.scaling, names[0], generator, names[1], self.target_scaling, model.code)


def read_material(
    model: Model, train: Train, scaling_kind: ScalingKind, target_scaling_kind: TargetScalingKind, work: Work
) -> Material:
    """Read the stage's ``data``, as far as they fit into the memory of the device that computes.

    Raises:
        StageError: the data do not fit the network, the loss or what is asked of them.
        DataError: the data cannot be scaled as the spec says.
    """
    unroll = model.unroll
    with closing(work.inputs["data"].arrays("data")) as file:
        about, rows = file.attributes(), None
        if train.examples is not None:
            rows, about = learned_from(file, train.examples, work.seed)
        shape, classes, targets = tuple(about["input_shape"]), about["class_names"], about.get("target_names", [])
        if unroll:
            classes, targets = [], []
            check_reconstruction(model, shape, train.loss)
        else:
            check_data(model, shape, train.loss, len(classes), len(targets))
        measured = "validation" if "X_validation" in file.names() else "test"
        if train.early_stopping:
            check_stopping(train.early_stopping, measured, None if unroll else len(classes))
        scaling = _imported(work, "scaling", scaling_kind) or resolve_scaling(scaling_kind, about)
        linear = model.last_activation == "linear" and not unroll
        target_scaling = _imported(work, "target_scaling", target_scaling_kind) or resolve_target_scaling(
            target_scaling_kind, about, linear
        )
        examples = read_split(work, "train", scaling, target_scaling, rows)
        held_out = read_split(work, measured, scaling, target_scaling)
    if unroll:
        check_range(unroll, examples, scaling_kind)
    counts = class_counts(about)
    return Material(shape, classes, targets, counts, scaling, target_scaling, examples, held_out)


def _imported(work: Work, name: str, kind: str) -> Scaling | None:
    """The scaling that an imported network says it learnt with, unless the spec chooses one."""
    if kind != "auto" or IMPORT not in work.inputs:
        return None
    document = work.inputs[IMPORT].tensors("model")[1]
    found = Scaling.model_validate(document.get(name, {}))
    return None if found == Scaling() else found


def check_data(model: Model, shape: Sequence[int], loss: Loss, classes: int, targets: int = 0) -> None:
    """Refuse data that the network cannot read, or whose classes or targets it does not have outputs for."""
    try:
        check_outputs(model, tuple(shape), loss, classes, targets)
    except ShapeError as error:
        raise misfit(error) from error


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
