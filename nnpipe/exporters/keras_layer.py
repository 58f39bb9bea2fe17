"""Layers of Keras in our words, those that mean the same wherever they stand."""

from __future__ import annotations

import math
from typing import Any, get_args

from nnpipe.exporters.keras_config import Config
from nnpipe.models.activations import LEAK, ActivationName

# Their leaky_relu has another slope than ours.
ACTIVATIONS = frozenset(get_args(ActivationName)) - {"leaky_relu"}
POOLS = {"MaxPooling2D": "max_pool2d", "AveragePooling2D": "avg_pool2d"}
GLOBAL_POOLS = {"GlobalAveragePooling2D": "global_average_pool2d", "GlobalMaxPooling2D": "global_max_pool2d"}
DROPOUTS = {"Dropout": "bernoulli", "GaussianDropout": "gaussian"}


class Unknown(Exception):
    """What a layer is or does that ours do not: ``found``, in words."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def layer_of(class_name: str, config: Config) -> dict[str, Any]:
    """Our layer that stands for it, as a spec writes it.

    Raises:
        Unknown: there is none.
    """
    match class_name:
        case "Conv2D":
            return _convolution(config)
        case "MaxPooling2D" | "AveragePooling2D":
            only(config, padding="valid")
            size = config["pool_size"]
            return {"kind": POOLS[class_name], "size": size, "stride": config.get("strides") or size}
        case "GlobalAveragePooling2D" | "GlobalMaxPooling2D":
            only(config, keepdims=False)
            return {"kind": GLOBAL_POOLS[class_name]}
        case "Dropout" | "GaussianDropout":
            only(config, noise_shape=None)
            return {"kind": "dropout", "rate": config["rate"], "noise": DROPOUTS[class_name]}
    return {"kind": "activation", "activation": _activation_layer(class_name, config)}


def _convolution(config: Config) -> dict[str, Any]:
    return {
        "kind": "conv2d",
        "filters": config["filters"],
        "kernel": config["kernel_size"],
        "stride": config.get("strides", 1),
        "padding": config.get("padding", "valid"),
        "dilation": config.get("dilation_rate", 1),
        "groups": config.get("groups", 1),
        "activation": activation_of(config.get("activation")),
    }


def activation_of(name: object) -> str:
    """Our name of an activation. Raises ``Unknown`` where it is none of ours."""
    name = "linear" if name is None else name
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise Unknown(f"activation {name}")
    return name


def _activation_layer(class_name: str, config: Config) -> str:
    match class_name:
        case "Activation":
            return activation_of(config.get("activation"))
        case "ReLU":
            only(config, max_value=None, negative_slope=0, threshold=0)
            return "relu"
        case "LeakyReLU":
            slope = config.get("negative_slope", config.get("alpha"))
            if not isinstance(slope, int | float) or not math.isclose(slope, LEAK, rel_tol=1e-6):
                raise Unknown(f"a slope of {slope}, not {LEAK}")
            return "leaky_relu"
        case "ELU":
            only(config, alpha=1)
            return "elu"
        case "Softmax":
            only(config, axis=-1)
            return "softmax"
    raise Unknown("a layer that nnpipe does not have")


def only(config: Config, **options: object) -> None:
    """Refuse options that ours do not have another value of."""
    for name, value in options.items():
        if config.get(name, value) != value:
            raise Unknown(f"{name} {config[name]}")
