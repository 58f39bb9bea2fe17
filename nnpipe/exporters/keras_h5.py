"""The network as a Keras model, channels last, ready to run and to train on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.exporters.keras_runtime import KerasExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network

# What the file claims to be written by; Keras reads the weights of every version since 2 alike.
WRITTEN_BY = {"keras_version": "3.0.0", "backend": "torch"}


class KerasH5(KerasExporter):
    """A Sequential model in Keras's HDF5 format, or a Functional one; the document in the root attribute ``nnpipe``."""

    kind: Literal["keras_h5"] = "keras_h5"
    filename: ClassVar[str] = "model.h5"
    loading: ClassVar[str] = 'keras.models.load_model("model.h5")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        """Write ``network`` as Keras would.

        Raises:
            StageError: it has a layer that Keras has not, or a scaling that Keras cannot do, or gives images, whose
                values Keras would give in another order.
        """
        import numpy as np

        from nnpipe.exporters.keras_layers import keras_layers
        from nnpipe.exporters.keras_model import model_config
        from nnpipe.store.hdf5_tree import Group, write_tree

        layers = keras_layers(network, raw=self.reads_raw)
        saved = {
            layer.name: Group({"weight_names": np.array([*layer.weights], "S")}, layer.weights) for layer in layers
        }
        names = np.array([layer.name for layer in layers], "S")
        config = json.dumps(model_config(network, layers), sort_keys=True)
        attributes = {**WRITTEN_BY, "model_config": config, "nnpipe": self.text_of(network)}
        groups = {"model_weights": Group({**WRITTEN_BY, "layer_names": names}, groups=saved)}
        write_tree(path, Group(attributes, groups=groups))

    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        from nnpipe.exporters.keras_reading import our_tensors
        from nnpipe.exporters.keras_saved import saved_by_name
        from nnpipe.store.hdf5_tree import read_text, read_tree

        document = self.about(path)
        saved = saved_by_name(read_tree(path), read_text(path, "model_config"), path)
        return our_tensors(document, saved, path), document

    def recognises(self, path: Path) -> bool:
        from nnpipe.store.hdf5_tree import attribute_names

        return path.suffix == ".h5" and "model_config" in attribute_names(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.exporters.keras_reading import told_document
        from nnpipe.store.hdf5_tree import read_text

        return told_document(read_text(path, "nnpipe"), read_text(path, "model_config"), path)
