"""A pretrained layer by what it was made from: the layers below it and the data, as the store's recipes tell."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from nnpipe.errors import UsageError
from nnpipe.models.scaling import resolve_scaling
from nnpipe.stages.pretrained import JOINT, joint_layers

if TYPE_CHECKING:
    from nnpipe.models.network import Network
    from nnpipe.models.parts import PartName
    from nnpipe.stages.pretrained_network import PretrainedLayer
    from nnpipe.store.artifact import Artifact
    from nnpipe.store.record import Record
    from nnpipe.store.store import Store


def pretrained_of(store: Store, artifact: Artifact, part: PartName) -> Network:
    """A part of the autoencoder that the layers up to ``artifact`` make; it is one of a ``pretrain`` stage.

    Raises:
        UsageError: the part needs a way back that no layer is, or what the layer was made from is not there any more.
    """
    from nnpipe.stages.pretrained_network import pretrained_network

    records = {record.artifact: record for record in store.records()}
    record = _record(records, artifact.id)
    with closing(_input(store, record, "data").arrays("data")) as file:
        about = file.attributes()
    scaling = resolve_scaling(record.recipe["config"]["scaling"], about)
    layers = _joint(artifact) if artifact.manifest.stage == JOINT else _stacked(store, records, artifact)
    return pretrained_network(layers, tuple(about["input_shape"]), scaling, part)


def _stacked(store: Store, records: dict[str, Record], artifact: Artifact) -> list[PretrainedLayer]:
    """``artifact`` and all below it, from the first."""
    found = [_layer(artifact)]
    while "below" in (record := _record(records, artifact.id)).made["inputs"]:
        artifact = _input(store, record, "below")
        found.append(_layer(artifact))
    return found[::-1]


def _layer(artifact: Artifact) -> PretrainedLayer:
    from nnpipe.models.architecture import Model
    from nnpipe.stages.pretrained_network import PretrainedLayer

    tensors, about = artifact.tensors("layer")
    *between, layer = Model.model_validate({"layers": [*about["between"], about["layer"]]}).layers
    doubled = about["method"].get("doubled", "")
    return PretrainedLayer(layer, tuple(between), tensors, about["visible_activation"], doubled)


def _joint(artifact: Artifact) -> list[PretrainedLayer]:
    """The layers of a deep Boltzmann machine, which are of binary units with nothing between them."""
    from nnpipe.models.layers.dense import Dense
    from nnpipe.stages.pretrained_network import PretrainedLayer

    return [
        PretrainedLayer(Dense(units=len(tensors["bias"]), activation="sigmoid"), (), tensors, "sigmoid")
        for tensors in joint_layers(artifact)
    ]


def _record(records: dict[str, Record], id_: str) -> Record:
    if id_ not in records:
        raise UsageError(
            "nothing tells what a pretrained layer was made from",
            where=f"artifact {id_}",
            expected="the recipe that made it, in the store",
            hint="run the spec again, with the same store",
        )
    return records[id_]


def _input(store: Store, record: Record, word: str) -> Artifact:
    id_ = record.made["inputs"][word]
    if not store.has(id_):
        raise UsageError(
            f"what a pretrained layer was made from is not in the store any more: {word}",
            where=f"artifact {record.artifact}",
            expected=f"artifact {id_}",
            hint="run the spec again, with the same store",
        )
    return store.artifact(id_)
