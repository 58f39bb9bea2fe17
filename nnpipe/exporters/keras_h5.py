"""The network as a Keras model, channels last, ready to run and to train on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.exporters.exporter import Exporter, document, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnpipe.exporters.exporter import Context, Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network

# What the file claims to be written by; Keras reads the weights of every version since 2 alike.
WRITTEN_BY = {"keras_version": "3.0.0", "backend": "torch"}


class KerasH5(Exporter):
    """A Sequential model in Keras's HDF5 format, or a Functional one; the document in the root attribute ``nnpipe``."""

    kind: Literal["keras_h5"] = "keras_h5"
    filename: ClassVar[str] = "model.h5"
    loading: ClassVar[str] = 'keras.models.load_model("model.h5")'

    def write(self, network: Network, path: Path, context: Context) -> None:
        """Write ``network`` as Keras would.

        Raises:
            StageError: it has a layer that Keras has not, or gives images, whose values Keras would give in
                another order.
        """
        import numpy as np

        from nnpipe.exporters.keras_layers import keras_layers
        from nnpipe.exporters.keras_model import model_config
        from nnpipe.store.hdf5 import Group, write_tree

        layers = keras_layers(network)
        saved = {
            layer.name: Group({"weight_names": np.array([*layer.weights], "S")}, layer.weights) for layer in layers
        }
        names = np.array([layer.name for layer in layers], "S")
        config = json.dumps(model_config(network, layers), sort_keys=True)
        attributes = {**WRITTEN_BY, "model_config": config, "nnpipe": document(network)}
        groups = {"model_weights": Group({**WRITTEN_BY, "layer_names": names}, groups=saved)}
        write_tree(path, Group(attributes, groups=groups))

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        """None: Keras takes seconds to start and is configured once for a whole process, which is not ours alone."""
        return None

    def recognises(self, path: Path) -> bool:
        from nnpipe.store.hdf5 import attribute_names

        return path.suffix == ".h5" and "model_config" in attribute_names(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.store.hdf5 import read_text

        return read_document(read_text(path, "nnpipe"), path)
