"""The weights that training started from, drawn again from its seed: nobody has to keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnpipe.models.architecture import Model
from nnpipe.stages.finetune import WEIGHTS
from nnpipe.stages.pretrained import Tensors
from nnpipe.stages.starting import start_from
from nnpipe.stages.unroll import start_decoder_from

if TYPE_CHECKING:
    import numpy as np


def first_weights(
    model: Model, document: Mapping[str, Any], pretrained: Sequence[Tensors], seed: int
) -> dict[str, np.ndarray]:
    """Named as those of the trained network are.

    document: of that one. pretrained: layers, from the first. seed: of the stage that trained it.
    """
    from nnpipe.models.network import Network
    from nnpipe.models.scaling import Scaling
    from nnpipe.training.seeds import generator

    shape = tuple(document["input_shape"])
    network = Network(
        model.unrolled(shape), shape, Scaling(), document["class_names"], generator(seed, WEIGHTS), code=model.code
    )
    start_from(network, pretrained)
    if model.unroll:
        start_decoder_from(network, pretrained)
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}
