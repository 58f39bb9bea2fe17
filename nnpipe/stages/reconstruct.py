"""What evaluation does for an autoencoder: give back every test example, and compare with principal components."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import torch

from nnpipe.evaluation.principal_components import principal_components, squared_errors
from nnpipe.evaluation.reconstruction import measure_reconstruction
from nnpipe.stages.splits import read_split
from nnpipe.stages.work import Work

if TYPE_CHECKING:
    from nnpipe.evaluation.measured import Measured
    from nnpipe.evaluation.principal_components import PrincipalComponents
    from nnpipe.models.network import Network
    from nnpipe.training.examples import Examples
    from nnpipe.training.losses.loss import Loss

BATCH = 250
BLOCK = 1000  # training examples at a time
MOST_FEATURES = 4096  # with more, principal components take more time and memory than the network


def evaluate_reconstruction(
    network: Network, loss: Loss, examples: Examples, truth: np.ndarray, work: Work
) -> Measured:
    """Measure; keep ``predictions``: ``codes`` and ``reconstructions``, in the data's units; and ``components``.

    truth: the test examples' labels or numbers. components: those of the training examples, in the network's scale;
    left out where an example has too many values.
    """
    assert network.code is not None
    with closing(work.inputs["data"].arrays("data")) as file:
        names = file.attributes()["class_names"]
    components = _components(network, work)
    errors, start = {name: np.empty(len(examples)) for name in ("network", "components", "loss")}, 0
    with work.output.arrays("predictions") as writer, torch.inference_mode():
        for x, _ in examples.in_order(BATCH):
            activations, flat = network.activations(x), x.flatten(1)
            codes, outputs, inputs = (t.cpu().numpy() for t in (activations[network.code], activations[-1], flat))
            if not start:
                writer.allocate("codes", (len(examples), codes.shape[1]), np.float32)
                writer.allocate("reconstructions", (len(examples), outputs.shape[1]), np.float32)
            writer.append("codes", codes)
            writer.append("reconstructions", _in_units(network, outputs))
            rows = slice(start, start + len(inputs))
            errors["network"][rows] = squared_errors(inputs, outputs)
            errors["loss"][rows] = loss.each(network, network.logits(x), flat).cpu().numpy()
            if components:
                errors["components"][rows] = squared_errors(inputs, components.reconstruct(inputs))
            start += len(inputs)
    if components:
        work.output.tensors("components", {"mean": components.mean, "directions": components.directions})
    return measure_reconstruction(
        errors["network"],
        errors["components"] if components else None,
        errors["loss"],
        truth if names else None,
        names,
        seed=work.seed,
    )


def _components(network: Network, work: Work) -> PrincipalComponents | None:
    """As many as the code has units, of the training examples; None where that would take too long."""
    train = read_split(work, "train", network.scaling, network.target_scaling)

    def blocks() -> Iterator[np.ndarray]:
        for x, _ in train.in_order(BLOCK):
            yield x.flatten(1).cpu().numpy()

    features = int(np.prod(network.input_shape))
    units = _code_units(network)
    return principal_components(blocks, units) if features <= MOST_FEATURES else None


def _code_units(network: Network) -> int:
    assert network.code is not None
    return network.architecture.shapes(network.input_shape)[network.code][0]


def _in_units(network: Network, outputs: np.ndarray) -> np.ndarray:
    """Outputs as values that the data could have."""
    scaling = network.scaling
    return (outputs * np.asarray(scaling.scale, np.float32) + np.asarray(scaling.offset, np.float32)).astype(np.float32)
