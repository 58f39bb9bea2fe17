"""What the method ``rbm`` does with a layer that has label units: which of its options hold, and the objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpipe.errors import StageError
from nnpipe.models.layers.classification_rbm import ClassificationRbm
from nnpipe.models.layers.layer import ShapeError

if TYPE_CHECKING:
    from nnpipe.pretraining.joint_machine import JointContrastiveDivergence
    from nnpipe.pretraining.objective import Visible
    from nnpipe.pretraining.rbm import Rbm
    from nnpipe.training.precision import Precision

OPTIONS = ("kind", "sampler", "steps", "chains", "weight_decay")  # all others have to be left as they are
SAMPLERS = ("cd", "pcd")


def check_joint(method: Rbm) -> None:
    """Refuse options that are for machines without labels.

    Raises:
        ShapeError: says which.
    """
    others = (name for name in type(method).model_fields if name not in OPTIONS)
    changed = [name for name in others if getattr(method, name) != type(method).model_fields[name].default]
    changed += [] if method.sampler in SAMPLERS else ["sampler"]
    changed += [] if isinstance(method.steps, int) else ["steps"]
    if changed:
        raise ShapeError(
            f"a classification_rbm is not pretrained with {changed[0]}",
            expected="binary units, sampler cd or pcd, and one number of steps",
            found=f"{changed[0]}: {getattr(method, changed[0])}",
        )


def joint_objective(
    method: Rbm, layer: ClassificationRbm, visible: Visible, seed: int, chains: int, precision: Precision
) -> JointContrastiveDivergence:
    """What the training loop makes small. chains: as many as persist; 0: none.

    Raises:
        StageError: the data have not as many classes as the layer.
    """
    from nnpipe.pretraining.joint_machine import JointContrastiveDivergence

    if visible.classes != layer.classes:
        raise StageError(
            f"{layer.classes} classes in the layer, and others in the data",
            where="model.layers",
            expected=f"classes: {visible.classes}",
            found=f"classes: {layer.classes}",
        )
    assert isinstance(method.steps, int)
    return JointContrastiveDivergence(layer, visible.mean, seed, method.steps, method.weight_decay, chains, precision)
