"""The network as a Keras model: ``keras.models.load_model("model.h5")``, channels last, ready to run and to train on.

Keras keeps images as (height, width, channels), so a kernel and the dense layer that reads flattened images have
their weights in another order; what is computed is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import Exporter, document, weights
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.max_pool2d import MaxPool2d

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from nnpipe.exporters.exporter import Run
    from nnpipe.models.layers.layer import Layer, Shape
    from nnpipe.models.network import Network

# What the file claims to be written by; Keras reads the weights of every version since 2 alike.
WRITTEN_BY = {"keras_version": "3.0.0", "backend": "torch"}


class KerasH5(Exporter):
    """A Sequential model in Keras's HDF5 format; the document in the root attribute ``nnpipe``."""

    kind: Literal["keras_h5"] = "keras_h5"
    filename: ClassVar[str] = "model.h5"
    loading: ClassVar[str] = 'keras.models.load_model("model.h5")'

    def write(self, network: Network, path: Path) -> None:
        """Write ``network`` as Keras would.

        Raises:
            StageError: it has a layer that Keras has not, or gives images, whose values Keras would give in
                another order.
        """
        import numpy as np

        from nnpipe.store.hdf5 import Group, write_tree

        layers = list(_keras_layers(network))
        saved = {
            layer.name: Group({"weight_names": np.array([*layer.weights], "S")}, layer.weights) for layer in layers
        }
        names = np.array([layer.name for layer in layers], "S")
        config = json.dumps(_model_config(network, layers), sort_keys=True)
        attributes = {**WRITTEN_BY, "model_config": config, "nnpipe": document(network)}
        groups = {"model_weights": Group({**WRITTEN_BY, "layer_names": names}, groups=saved)}
        write_tree(path, Group(attributes, groups=groups))

    def load(self, path: Path) -> Run | None:
        """None: Keras takes seconds to start and is configured once for a whole process, which is not ours alone."""
        return None


@dataclass(frozen=True)
class KerasLayer:
    """One layer of a Sequential model: its class in Keras, the class's arguments, its weights in Keras's order."""

    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]

    @property
    def name(self) -> str:
        return str(self.config["name"])


def _model_config(network: Network, layers: list[KerasLayer]) -> dict[str, Any]:
    shape = network.input_shape
    inputs = [*shape[1:], shape[0]] if len(shape) == 3 else list(shape)
    config = {"name": "input", "batch_shape": [None, *inputs], "dtype": "float32"}
    first = {"class_name": "InputLayer", "config": config}
    following = [{"class_name": layer.class_name, "config": layer.config} for layer in layers]
    return {"class_name": "Sequential", "config": {"name": "network", "layers": [first, *following]}}


def _keras_layers(network: Network) -> Iterator[KerasLayer]:
    tensors = weights(network)
    shape: Shape = network.input_shape
    flattened: Shape | None = None  # of the image whose values the vector is that reaches a layer
    if network.architecture.first_shape(shape) != shape:  # a dense layer that reads images as they come
        yield KerasLayer("Flatten", {"name": "flatten_input", "data_format": "channels_last"}, {})
        shape, flattened = network.architecture.first_shape(shape), shape
    for index, layer in enumerate(network.architecture.layers):
        class_name, config = _description(layer)
        weight, bias = tensors.get(f"layers.{index}.weight"), tensors.get(f"layers.{index}.bias")
        if isinstance(layer, Flatten) and len(shape) == 3:
            flattened = shape
        keras_weights: dict[str, np.ndarray] = {}
        if weight is not None and bias is not None:
            keras_weights = {"kernel": _kernel(weight, flattened), "bias": bias}
            flattened = None
        yield KerasLayer(class_name, {"name": f"{layer.kind}_{index}", **config}, keras_weights)
        shape = layer.output_shape(shape)
    if len(shape) == 3 or flattened:
        raise StageError(
            "keras_h5 cannot hold a network that gives images",
            expected="a dense layer at the end",
            found=f"{network.architecture.layers[-1].kind}",
            hint="other formats keep the order of the values: onnx, torch_export, safetensors, weights_h5",
        )


def _description(layer: Layer) -> tuple[str, dict[str, Any]]:
    """The class of a layer in Keras, and its arguments."""
    channels_last = {"data_format": "channels_last"}
    match layer:
        case Dense():
            return "Dense", {"units": layer.units, "activation": layer.activation}
        case Conv2d():
            # Padding "same" means one thing in both: it is allowed for odd kernels and stride 1 only.
            places = {"kernel_size": layer.kernel, "strides": layer.stride, "padding": layer.padding}
            return "Conv2D", {"filters": layer.filters, "activation": layer.activation, **places, **channels_last}
        case MaxPool2d():
            return "MaxPooling2D", {"pool_size": layer.size, "strides": layer.stride or layer.size, **channels_last}
        case Flatten():
            return "Flatten", channels_last
        case Dropout():
            return "Dropout", {"rate": layer.rate}
    raise StageError(
        f"keras_h5 has no word for the layer {layer.kind!r}",
        expected="conv2d, dense, dropout, flatten or max_pool2d",
        found=layer.kind,
        hint="onnx and torch_export hold every layer",
    )


def _kernel(weight: np.ndarray, flattened: Shape | None) -> np.ndarray:
    """Weights in Keras's order, inputs before outputs.

    weight: (filters, channels, height, width) or (units, inputs); flattened: the (channels, height, width) of which
    the inputs are the values.
    """
    import numpy as np

    if weight.ndim == 4:
        return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
    if flattened:
        weight = weight.reshape(-1, *flattened).transpose(0, 2, 3, 1).reshape(weight.shape)
    return np.ascontiguousarray(weight.T)
