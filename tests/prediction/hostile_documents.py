"""What a file may say of a network that there cannot be: changes of a right document, and a part of their refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from safetensors.numpy import load_file, save_file

HUGE = 10**12


def dense(units: Any) -> dict[str, Any]:
    return {"kind": "dense", "units": units}


def layers(*each: Any) -> dict[str, Any]:
    return {"architecture": {"layers": list(each)}}


def nested(depth: int) -> dict[str, Any]:
    layer = dense(20)
    for _ in range(depth):
        layer = {"kind": "residual", "layers": [layer]}
    return layer


CONVOLUTION = {"kind": "conv2d", "filters": 1, "kernel": 3, "padding": "same"}
DEEP = '{"kind": "residual", "layers": [' * 100_000
TOO_LARGE = "values of one example"

DOCUMENTS: dict[str, tuple[Mapping[str, Any], str]] = {
    "a billion units": (layers(dense(10**9), dense(3)), ""),
    "a billion units in a small place": (layers(dense(2), dense(10**9), dense(3)), ""),
    "more units than have a number": (layers(dense(10**4000), dense(3)), "damaged"),
    "a million layers": (layers(*["flatten"] * 10**6, dense(3)), "more than 10,000 layers"),
    "layers within layers": (layers(nested(60), dense(3)), "within each other"),
    "layers within layers without an end": ({"architecture": "[NESTED]"}, ""),
    "negative units": (layers(dense(-5)), "units"),
    "units that are no number": (layers(dense(float("nan"))), "finite number"),
    "no layers": (layers(), "layers"),
    "a filter for every value": (layers({**CONVOLUTION, "filters": HUGE}, "flatten", dense(3)), TOO_LARGE),
    "an absurd dilation": (layers({**CONVOLUTION, "dilation": 10**9}, "flatten", dense(3)), TOO_LARGE),
    "filters inside a residual": (
        layers({"kind": "residual", "layers": [{**CONVOLUTION, "filters": HUGE}, CONVOLUTION]}, "flatten", dense(3)),
        TOO_LARGE,
    ),
    "another number of outputs": (layers(dense(4)), "3 names of 4 outputs"),
    "images at the end": (layers(CONVOLUTION), "does not give vectors"),
    "an absurd shape": ({"input_shape": [1, 10**6, 10**6]}, ""),
    "a negative shape": ({"input_shape": [-4, -5]}, ""),
    "a shape of nothing": ({"input_shape": []}, ""),
    "a shape of text": ({"input_shape": "xx"}, ""),
    "a shape that is a number": ({"input_shape": 3}, ""),
    "a network that is a text": ({"architecture": "dense"}, "architecture"),
    "names that are a number": ({"class_names": 3}, "class_names"),
    "a scaling that is a list": ({"scaling": []}, "scaling"),
    "no names": ({"class_names": []}, "0 names"),
    "names that steer a terminal": ({"class_names": ["a", "b", "\x1b]0;owned\x07"]}, "control characters"),
    "names that cannot be printed": ({"class_names": ["a", "b", "\ud800"]}, ""),
    "names that are no text": ({"class_names": [{}, [], 3]}, "class_names"),
    "values divided by nothing": ({"scaling": {"scale": 0}}, "divided by 0"),
    "two scales": ({"scaling": {"scale": [1.0, 2.0]}}, "numbers to scale"),
    "a scale that is no number": ({"scaling": {"scale": float("inf")}}, "finite number"),
    "a scaling that is a function": ({"scaling": {"apply": "os.mkdir"}}, "scaling"),
    "an autoencoder that gives something else": ({"code": 0}, "autoencoder"),
}


def put_document(path: Path, right: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Write the ``right`` document with a ``change`` into the file at ``path``."""
    parts = {key: json.dumps(value).replace('"[NESTED]"', DEEP) for key, value in {**right, **change}.items()}
    if path.suffix == ".safetensors":
        whole = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items()) + "}"
        save_file(load_file(path), path, metadata={"nnpipe": whole})
    else:
        model = onnx.load(path)
        del model.metadata_props[:]
        for key, value in parts.items():
            model.metadata_props.add(key=key, value=value)
        path.write_bytes(model.SerializeToString())
