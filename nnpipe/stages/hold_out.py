"""What networks say of the same test examples: read from an evaluation, or asked now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from nnpipe.errors import DataError
from nnpipe.evaluation.said import Said
from nnpipe.models.layers.layer import shown
from nnpipe.models.scaling import Scaling
from nnpipe.stages.evaluate import BATCH, scores_form
from nnpipe.stages.splits import read_evenly
from nnpipe.store.arrays import blocks

if TYPE_CHECKING:
    from torch import Tensor

    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network
    from nnpipe.store.arrays import ArrayFile
    from nnpipe.store.artifact import Artifact
    from nnpipe.training.examples import Examples
    from nnpipe.training.losses.loss import Loss

    # Raw examples and logits -> what is kept of them.
    Read = Callable[[Tensor, Tensor], list[Tensor]]


def truth_of(data: Artifact) -> np.ndarray:
    """The answers of the test examples: (n,) labels or (n, targets) numbers."""
    with closing(data.arrays("data")) as file:
        return file.rows("y_test", 0, file.shape("y_test")[0])


def same_test(a: Artifact, b: Artifact) -> bool:
    """Whether two artifacts of data hold the same test examples, in the same order and of the same classes."""
    if a.manifest.content == b.manifest.content:
        return True
    with closing(a.arrays("data")) as one, closing(b.arrays("data")) as two:
        if any("X_test" not in file.names() for file in (one, two)):
            return False
        if one.attributes()["class_names"] != two.attributes()["class_names"]:
            return False
        for name in ("X_test", "y_test"):
            if (one.shape(name), one.dtype(name)) != (two.shape(name), two.dtype(name)):
                return False
            start = 0
            for block in blocks(one, name):
                if not np.array_equal(block, two.rows(name, start, start + len(block))):
                    return False
                start += len(block)
    return True


def said_before(evaluation: Artifact, class_names: tuple[str, ...]) -> Said | None:
    """What an evaluation kept of what the network said; None where that cannot be compared: of inputs given back.

    class_names: of the data that it was measured on.
    """
    with closing(evaluation.arrays("predictions")) as file:
        kept = {name: file.rows(name, 0, file.shape(name)[0]) for name in file.names()}
        names = tuple(file.attributes().get("class_names", ()))
    if "values" in kept:
        return Said(values=kept["values"])
    if "labels" not in kept:
        return None
    form = evaluation.json("evaluation")["scores"]
    scores = kept.get("probabilities", kept.get("margins"))
    return Said(class_names=names, labels=kept["labels"], scores=scores, form=form).among(class_names)


def asked(
    model: Artifact,
    data: Artifact,
    vouched: Model | None,
    device: str,
    like: Mapping[str, Any],
    loss: Loss | None = None,
) -> Said:
    """What the network in the artifact ``model`` says of the test examples of ``data``.

    vouched: the caller's own architecture, for layers of somebody's own.
    like: the document of the network that it is compared with; errors of inputs given back are told in its scale.
    loss: whose value is told of each example; None: of none.

    Raises:
        DataError: the network cannot read these examples, or has no loss that could be compared.
    """
    from nnpipe.models.network import load_network

    network = load_network(*model.tensors("model"), vouched).place(device)
    with closing(data.arrays("data")) as file:
        shape, names = tuple(file.attributes()["input_shape"]), tuple(file.attributes()["class_names"])
        if network.input_shape != shape:
            raise DataError(
                "the champion reads examples of another shape",
                expected=f"examples of shape {shown(network.input_shape)}",
                found=f"examples of shape {shown(shape)}",
            )
        examples = _test_examples(file, network, device)
    if loss:
        _check_loss(network, like, names)
    if network.code is not None:
        errors, *losses = _by_batches(
            network, examples, loss, _errors(network, Scaling.model_validate(like["scaling"]))
        )
        return Said(errors=errors, losses=next(iter(losses), None))
    if not network.class_names:
        values, *losses = _by_batches(
            network, examples, loss, lambda _, logits: [network.in_units(network.outputs(logits))]
        )
        return Said(values=values, losses=next(iter(losses), None))
    scores, labels, *losses = _by_batches(network, examples, loss, lambda _, logits: [*network.decide(logits)])
    form = scores_form(network.architecture, len(network.class_names))
    return Said(network.class_names, labels, scores, form, losses=next(iter(losses), None)).among(names)


def _test_examples(file: ArrayFile, network: Network, device: str) -> Examples:
    import torch

    from nnpipe.training.examples import Examples

    x, y = read_evenly(file, "test", file.shape("X_test")[0])
    y = network.target_scaling.apply(y) if y.dtype.kind == "f" else y
    return Examples(torch.from_numpy(x).to(device), torch.from_numpy(y).to(device), network.scaling)


def _check_loss(network: Network, like: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse to compare losses of answers that differ, or are scaled otherwise."""
    learns_inputs = network.code is not None
    part = "scaling" if learns_inputs else "target_scaling"
    scaled = (network.scaling if learns_inputs else network.target_scaling, Scaling.model_validate(like.get(part, {})))
    classes_differ = bool(network.class_names) and network.class_names != names
    if classes_differ or (scaled[0].offset, scaled[0].scale) != (scaled[1].offset, scaled[1].scale):
        raise DataError(
            "the networks cannot be compared by their loss",
            expected="the same answers, scaled alike",
            found="other classes" if classes_differ else "another scale",
        )


def _errors(network: Network, scaling: Scaling) -> Read:
    """The squared error of each example that is given back, summed over its values in ``scaling``."""

    def read(raw: Tensor, logits: Tensor) -> list[Tensor]:
        offset, scale = (logits.new_tensor(getattr(network.scaling, name)) for name in ("offset", "scale"))
        apart = network.outputs(logits) * scale + offset - raw.to(logits.dtype).flatten(1)
        return [(apart / logits.new_tensor(scaling.scale)).square().sum(dim=1)]

    return read


def _by_batches(network: Network, examples: Examples, loss: Loss | None, read: Read) -> list[np.ndarray]:
    """What ``read`` makes of raw examples and logits, and after it the loss of each if there is one."""
    import torch

    found = []
    with torch.inference_mode():
        for start in range(0, len(examples), BATCH):
            x, y = examples.rows(start, start + BATCH)
            logits = network.logits(x)
            answers = x.flatten(1) if network.code is not None else y
            batch = read(examples.x[start : start + BATCH], logits)
            if loss:
                assert answers is not None
                batch.append(loss.each(network, logits, answers))
            found.append([tensor.cpu().numpy() for tensor in batch])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
