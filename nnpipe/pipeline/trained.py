"""A trained network by the name it has in a store, or from a file that it was exported to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.errors import UsageError
from nnpipe.pipeline.run import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnpipe.exporters.departure import Departure
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


def departure_of(store: Store, name: str) -> Departure:
    """What ``name`` means, ready to leave: a network, or a pretrained layer with all below it, there and back.

    Raises:
        UsageError: ``name`` means nothing, or nothing that can leave.
    """
    from nnpipe.exporters.departure import Departure
    from nnpipe.models.network import load_network
    from nnpipe.models.parts import part_of
    from nnpipe.pipeline.pretrained import pretrained_of
    from nnpipe.pipeline.provenance import provenance
    from nnpipe.stages.card_facts import card_facts
    from nnpipe.stages.export import samples_of

    found = store.artifact(resolve(store, name))
    part: Callable[[PartName], Network]
    if found.manifest.stage.startswith("pretrain/"):
        part = partial(pretrained_of, store, found)
    else:
        part = partial(part_of, load_network(*model_artifact(store, name).tensors("model")))
    past = provenance(store, found)
    facts = card_facts(past.stated, found, past.data, past.evaluation)
    return Departure(part, facts, samples_of(past.data) if past.data else None)
