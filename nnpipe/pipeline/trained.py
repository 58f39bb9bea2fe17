"""A trained network by the name it has in a store, or from a file that it was exported to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.errors import UsageError
from nnpipe.pipeline.run import resolve

if TYPE_CHECKING:
    from nnpipe.models.network import Network
    from nnpipe.models.parts import PartName
    from nnpipe.prediction.model import TrainedModel
    from nnpipe.store.artifact import Artifact
    from nnpipe.store.store import Store


def model_artifact(store: Store, name: str) -> Artifact:
    """The artifact with the network that ``name`` means, as on the command line.

    Raises:
        UsageError: it means nothing, or no network.
    """
    found = store.artifact(resolve(store, name))
    if "model.safetensors" not in found.manifest.files:
        raise UsageError(
            f"{name} is not a network",
            expected="an artifact of finetune",
            found=f"an artifact of {found.manifest.stage}",
        )
    return found


def stored_model(store: Store, name: str) -> TrainedModel:
    """The network that ``name`` means, to be asked. Raises as ``model_artifact`` and ``open_model`` do."""
    from nnpipe.prediction.model import open_model

    return open_model(Path(model_artifact(store, name).path("model.safetensors")))


def stored_network(store: Store, name: str, part: PartName = "whole") -> Network:
    """The network that ``name`` means, or a part of it; of a pretrained layer all layers up to it, and back.

    Raises:
        UsageError: ``name`` means nothing, or what has no such part.
    """
    from nnpipe.models.network import load_network
    from nnpipe.models.parts import part_of
    from nnpipe.pipeline.pretrained import pretrained_of

    found = store.artifact(resolve(store, name))
    if found.manifest.stage.startswith("pretrain/"):
        return pretrained_of(store, found, part)
    return part_of(load_network(*model_artifact(store, name).tensors("model")), part)
