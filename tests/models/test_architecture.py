"""What planning can tell of a network."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ShapeError

LECTURE = Model.model_validate(
    {
        "layers": [
            {"kind": "conv2d", "filters": 32, "kernel": 5, "activation": "relu"},
            {"kind": "conv2d", "filters": 32, "kernel": 5, "activation": "relu"},
            {"kind": "max_pool2d", "size": 2},
            "flatten",
            {"kind": "dense", "units": 128, "activation": "relu"},
            {"kind": "dense", "units": 10, "activation": "softmax"},
        ]
    }
)


def test_the_lectures_network_has_the_shapes_and_parameters_of_the_lecture() -> None:
    shapes = [(32, 24, 24), (32, 20, 20), (32, 10, 10), (3200,), (128,), (10,)]
    assert LECTURE.shapes((1, 28, 28)) == shapes
    assert LECTURE.parameters((1, 28, 28)) == 437_482


def test_a_shape_error_names_the_layer() -> None:
    with pytest.raises(ShapeError) as caught:
        LECTURE.shapes((1, 8, 8))
    assert caught.value.index == 1
    assert caught.value.found == "a kernel of 5x5"
    assert caught.value.expected == "a kernel of at most 4x4"


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({"layers": []})


def test_planning_loads_neither_torch_nor_numpy() -> None:
    script = """
import sys
from nnpipe.training.train import Train
from nnpipe.training.losses.outputs import check_outputs
from nnpipe.models.architecture import Model
from nnpipe.models.scaling import Scaling
model = Model.model_validate({"layers": [{"kind": "dense", "units": 3, "activation": "softmax"}]})
check_outputs(model, (4,), Train().loss, 3)
assert model.parameters((4,)) == 15
heavy = {"torch", "numpy", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
