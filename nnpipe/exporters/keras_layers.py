"""A network in Keras's layers: which class each becomes, with which arguments, its weights in Keras's order.

Keras keeps images as (height, width, channels), so a kernel and the layer that reads flattened images have their
weights in another order; what is computed is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import weights
from nnpipe.exporters.keras_normalization import normalization
from nnpipe.exporters.preprocessing import input_scaling, output_scaling
from nnpipe.models.activations import LEAK
from nnpipe.models.layers.activation import ActivationLayer
from nnpipe.models.layers.avg_pool2d import AvgPool2d
from nnpipe.models.layers.batch_norm import BatchNorm
from nnpipe.models.layers.conv2d import Conv2d
from nnpipe.models.layers.dense import Dense
from nnpipe.models.layers.dropout import Dropout
from nnpipe.models.layers.flatten import Flatten
from nnpipe.models.layers.global_average_pool2d import GlobalAveragePool2d
from nnpipe.models.layers.global_max_pool2d import GlobalMaxPool2d
from nnpipe.models.layers.max_pool2d import MaxPool2d
from nnpipe.models.layers.reshape import Reshape
from nnpipe.models.layers.residual import Residual

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.models.activations import ActivationName
    from nnpipe.models.layers.layer import Layer, Shape
    from nnpipe.models.network import Network
    from nnpipe.models.scaling import Scaling

INPUT = "input"
CHANNELS_LAST = {"data_format": "channels_last"}
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = {"dims": (3, 1, 2)}, {"dims": (2, 3, 1)}


@dataclass(frozen=True)
class KerasLayer:
    """One layer of a Keras model; ``reads``: the names of those whose outputs it is given."""

    name: str
    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    reads: tuple[str, ...]


def keras_layers(
    network: Network, tensors: Mapping[str, np.ndarray] | None = None, *, raw: bool = False
) -> list[KerasLayer]:
    """The layers that ``network`` becomes, from the first; the last gives its outputs.

    tensors: what to put into their order in place of its weights, of the same shapes.
    raw: the first reads raw values, and the last gives the data's units.

    Raises:
        StageError: Keras has no such layer, cannot scale so, or would give the values of an image in another order.
    """
    translation = _Translation(weights(network) if tensors is None else tensors, network.input_shape)
    if raw and (scaling := input_scaling(network)):
        translation.scale("scaling", scaling)
    first = network.architecture.first_shape(network.input_shape)
    if first != network.input_shape:  # a dense layer that reads images as they come
        translation.flatten("flatten_input")
    for index, layer in enumerate(network.architecture.layers):
        translation.add(layer, f"layers.{index}.", f"{layer.kind}_{index}")
    if len(translation.shape) == 3 or translation.flattened:
        raise StageError(
            "Keras cannot hold a network that gives images",
            expected="a dense layer at the end",
            found=f"{network.architecture.layers[-1].kind}",
            hint="other formats keep the order of the values: onnx, torch_export, safetensors, weights_h5",
        )
    if raw and (units := output_scaling(network)):
        translation.scale("units", units, invert=True)
    return translation.layers


@dataclass
class _Translation:
    """Layers so far. shape: of what leaves the last of them, ``at``, in our order of axes.

    flattened: the (channels, height, width) of the image whose values that vector is, in Keras's order, if it is one.
    """

    tensors: Mapping[str, np.ndarray]
    shape: Shape
    at: str = INPUT
    flattened: Shape | None = None
    layers: list[KerasLayer] = field(default_factory=list)

    def add(self, layer: Layer, place: str, name: str) -> None:
        """Append what ``layer`` becomes; its tensors are called ``place`` and their own name."""
        after = layer.output_shape(self.shape)
        match layer:
            case Dense() | Conv2d():
                self._weighted(layer, place, name)
            case BatchNorm():
                options = {"axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon}
                names = {
                    "gamma": "weight",
                    "beta": "bias",
                    "moving_mean": "running_mean",
                    "moving_variance": "running_var",
                }
                arrays = {theirs: self._features(self.tensors[place + ours]) for theirs, ours in names.items()}
                self._append("BatchNormalization", name, options, arrays)
            case Flatten():
                self.flatten(name)
            case Reshape():
                self._reshape(layer.shape, name)
            case ActivationLayer():
                self._activate(layer.activation, name)
            case Residual():
                self._residual(layer, place, name)
            case _:
                class_name, config = _weightless(layer)
                self._append(class_name, name, config)
        self.shape = after

    def scale(self, name: str, scaling: Scaling, *, invert: bool = False) -> None:
        """Append a Normalization: of raw values, or ``invert`` back into the data's units."""
        self._append("Normalization", name, normalization(scaling, invert=invert))

    def flatten(self, name: str) -> None:
        """Append a Flatten; of images the order of values is Keras's from here on."""
        self._append("Flatten", name, CHANNELS_LAST)
        if len(self.shape) == 3:
            self.shape, self.flattened = (self.shape[0] * self.shape[1] * self.shape[2],), self.shape

    def _append(
        self,
        class_name: str,
        name: str,
        config: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
        reads: tuple[str, ...] = (),
    ) -> None:
        self.layers.append(KerasLayer(name, class_name, {"name": name, **config}, arrays or {}, reads or (self.at,)))
        self.at = name

    def _weighted(self, layer: Dense | Conv2d, place: str, name: str) -> None:
        weight, bias = self.tensors[place + "weight"], self.tensors[place + "bias"]
        # Their leaky_relu has another slope, so it becomes a layer of its own.
        apart = layer.activation == "leaky_relu"
        config: dict[str, Any] = {"activation": "linear" if apart else layer.activation}
        if isinstance(layer, Dense):
            config |= {"units": layer.units}
        else:
            _check_dilation(layer)
            # Padding "same" means one thing in both: it is allowed for odd kernels and stride 1 only.
            config |= {"filters": layer.filters, "kernel_size": layer.kernel, "strides": layer.stride}
            config |= {"padding": layer.padding, "dilation_rate": layer.dilation, "groups": layer.groups}
            config |= CHANNELS_LAST
        kernel = _kernel(weight, self.flattened)
        self._append("Dense" if isinstance(layer, Dense) else "Conv2D", name, config, {"kernel": kernel, "bias": bias})
        self.flattened = None
        if apart:
            self._activate(layer.activation, f"{name}_activation")

    def _activate(self, activation: ActivationName, name: str) -> None:
        if activation == "leaky_relu":
            self._append("LeakyReLU", name, {"negative_slope": LEAK})
        else:
            self._append("Activation", name, {"activation": activation})

    def _reshape(self, shape: Shape, name: str) -> None:
        self._in_our_order(f"{name}_order")
        if len(self.shape) == 3:
            self._append("Permute", f"{name}_channels_first", TO_CHANNELS_FIRST)
        self._append("Reshape", name, {"target_shape": shape})
        if len(shape) == 3:
            self._append("Permute", f"{name}_channels_last", TO_CHANNELS_LAST)

    def _in_our_order(self, name: str) -> None:
        """Bring the values of a flattened image from Keras's order into ours."""
        if self.flattened:
            channels, height, width = self.flattened
            self._append("Reshape", f"{name}_image", {"target_shape": (height, width, channels)})
            self._append("Permute", f"{name}_channels_first", TO_CHANNELS_FIRST)
            self._append("Reshape", name, {"target_shape": self.shape})
            self.flattened = None

    def _residual(self, residual: Residual, place: str, name: str) -> None:
        self._in_our_order(f"{name}_order")  # its two ways have to agree on one
        at, shape = self.at, self.shape
        for index, layer in enumerate(residual.layers):
            self.add(layer, f"{place}layers.{index}.", f"{name}_{layer.kind}_{index}")
        self._in_our_order(f"{name}_inner_order")
        inside, self.at, self.shape = self.at, at, shape
        # After the layers inside: Keras takes weights layer by layer, in the order that it sorts its graph into.
        projection = residual.way_round(shape)
        if projection:
            self.add(projection, f"{place}projection.", f"{name}_projection")
        self._append("Add", name, {}, reads=(inside, self.at))
        if residual.activation != "linear":
            self._activate(residual.activation, f"{name}_activation")

    def _features(self, values: np.ndarray) -> np.ndarray:
        """(features,) in the order in which Keras has them."""
        if not self.flattened:
            return values
        return values.reshape(self.flattened).transpose(1, 2, 0).ravel()


def _weightless(layer: Layer) -> tuple[str, Mapping[str, Any]]:
    """The class of a layer that only Keras's options tell of, and these."""
    match layer:
        case MaxPool2d():
            return "MaxPooling2D", {"pool_size": layer.size, "strides": layer.stride or layer.size, **CHANNELS_LAST}
        case AvgPool2d():
            return "AveragePooling2D", {"pool_size": layer.size, "strides": layer.stride or layer.size, **CHANNELS_LAST}
        case GlobalAveragePool2d():
            return "GlobalAveragePooling2D", CHANNELS_LAST
        case GlobalMaxPool2d():
            return "GlobalMaxPooling2D", CHANNELS_LAST
        case Dropout():
            return "GaussianDropout" if layer.noise == "gaussian" else "Dropout", {"rate": layer.rate}
    raise StageError(
        f"Keras has no word for the layer {layer.kind!r}",
        expected="layers that Keras has too",
        found=layer.kind,
        hint="onnx and torch_export hold every layer; leave keras and keras_h5 out of 'export'",
    )


def _check_dilation(layer: Conv2d) -> None:
    if layer.dilation != (1, 1) and layer.stride != (1, 1):
        raise StageError(
            "Keras has no convolution with both a stride and a dilation",
            expected="stride 1 or dilation 1",
            found=f"stride {layer.stride}, dilation {layer.dilation}",
            hint="onnx and torch_export hold every layer; leave keras and keras_h5 out of 'export'",
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
