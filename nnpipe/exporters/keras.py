"""The network as a Keras model in Keras's own format since version 3, ready to run and to train on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.exporters.keras_runtime import KerasExporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context
    from nnpipe.exporters.keras_layers import KerasLayer
    from nnpipe.models.network import Network
    from nnpipe.store.hdf5_tree import Group

WRITTEN_BY = "3.0.0"  # what the file claims to be written by: later versions read it alike


class Keras(KerasExporter):
    """``config.json``, ``model.weights.h5`` and ``metadata.json`` in a zip archive; the last has the document too.

    https://keras.io/api/models/model_saving_apis/ names the parts; what a group of weights is called is what
    ``keras.src.saving.saving_lib`` calls it.
    """

    kind: Literal["keras"] = "keras"
    filename: ClassVar[str] = "model.keras"
    loading: ClassVar[str] = 'keras.models.load_model("model.keras")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        """Write ``network`` as Keras would.

        Raises:
            StageError: it has a layer that Keras has not, or a scaling that Keras cannot do, or gives images, whose
                values Keras would give in another order.
        """
        from nnpipe.exporters.archive import write_archive
        from nnpipe.exporters.keras_layers import keras_layers
        from nnpipe.exporters.keras_model import model_config
        from nnpipe.store.hdf5_tree import tree_bytes

        layers = keras_layers(network, raw=self.reads_raw)
        metadata = {"keras_version": WRITTEN_BY, "nnpipe": self.text_of(network)}
        members = {
            "metadata.json": json.dumps(metadata, sort_keys=True).encode(),
            "config.json": json.dumps(_named(model_config(network, layers)), sort_keys=True).encode(),
            "model.weights.h5": tree_bytes(_weights(layers)),
        }
        write_archive(path, members)

    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        from nnpipe.exporters.archive import read_member
        from nnpipe.exporters.keras_reading import our_tensors
        from nnpipe.exporters.keras_saved import saved_by_class
        from nnpipe.store.hdf5_tree import read_tree

        document, config = self.about(path), read_member(path, "config.json")
        tree = read_tree(path, read_member(path, "model.weights.h5"))
        return our_tensors(document, saved_by_class(tree, config, path), path), document

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.exporters.archive import read_member
        from nnpipe.exporters.keras_reading import read_config, told_document

        metadata = read_config(read_member(path, "metadata.json"), path)
        return told_document(metadata.get("nnpipe"), read_member(path, "config.json"), path)


def _named(config: dict[str, Any]) -> dict[str, Any]:
    """``config`` with the modules that its classes are found in."""
    layers = [{**layer, "module": "keras.layers", "registered_name": None} for layer in config["config"]["layers"]]
    sequential = config["class_name"] == "Sequential"
    where = "keras" if sequential else "keras.src.models.functional"
    name = None if sequential else "Functional"
    return {**config, "config": {**config["config"], "layers": layers}, "module": where, "registered_name": name}


def _weights(layers: Iterable[KerasLayer]) -> Group:
    """``layers/<class>/vars/<number>``, classes in small letters, those of one class counted in their order."""
    from nnpipe.exporters.keras_saved import group_names
    from nnpipe.store.hdf5_tree import Group

    layers = list(layers)
    groups = {}
    for layer, place in zip(layers, group_names(layer.class_name for layer in layers), strict=True):
        if layer.weights:
            arrays = {str(number): array for number, array in enumerate(layer.weights.values())}
            groups[place] = Group(groups={"vars": Group({"name": layer.name}, arrays)})
    return Group(groups={"layers": Group(groups=groups)})
