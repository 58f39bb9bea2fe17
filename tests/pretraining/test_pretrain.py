from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from nnpipe.models.architecture import Model
from nnpipe.pretraining.autoencoder import Autoencoder
from nnpipe.pretraining.pretrain import Pretrain, pretrained_layers
from nnpipe.pretraining.rbm import Rbm

SIGMOID = {"kind": "dense", "units": 8, "activation": "sigmoid"}
RELU = {"kind": "dense", "units": 8, "activation": "relu"}
OUTPUT = {"kind": "dense", "units": 3, "activation": "softmax"}
CONVOLUTION = {"kind": "conv2d", "filters": 4, "kernel": 3, "activation": "relu"}
TOLERANT = {"kind": "autoencoder", "loss": "mean_squared_error"}


def model(*layers: Any) -> Model:
    return Model.model_validate({"layers": layers})


def pretrain(**fields: Any) -> Pretrain:
    return Pretrain.model_validate({"method": "rbm", "layers": 1, **fields})


def told(error: PydanticCustomError) -> dict[str, Any]:
    assert error.context is not None
    return error.context


def test_a_bare_word_is_a_method_with_its_defaults() -> None:
    assert pretrain(method="rbm").method == Rbm(sampler="cd", steps=1)
    assert pretrain(method="autoencoder").method == Autoencoder()


def test_flatten_and_dropout_are_passed_over() -> None:
    network = model("flatten", SIGMOID, {"kind": "dropout", "rate": 0.2}, SIGMOID, OUTPUT)
    spec = pretrain(layers=2)
    assert pretrained_layers(network, spec) == [1, 3]
    assert spec.dense_layers(network) == [network.layers[1], network.layers[3]]
    spec.check(network)


def test_a_convolution_among_the_layers_to_pretrain_is_refused_with_its_place() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=2).check(model(CONVOLUTION, "flatten", SIGMOID, OUTPUT))
    said = told(caught.value)
    assert said["path"] == ["model", "layers", 0]
    assert said["found"] == "layer conv2d"
    assert said["expected"] == "a dense layer, as pretrain.layers is 2"


def test_convolutions_above_the_pretrained_layers_do_not_matter() -> None:
    network = model(SIGMOID, "flatten", CONVOLUTION, OUTPUT)
    assert pretrained_layers(network, pretrain(layers=1)) == [0]


def test_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=4).check(model(SIGMOID, OUTPUT))
    said = told(caught.value)
    assert (said["path"], said["expected"], said["found"]) == (["pretrain", "layers"], "at most 2", "4")


@pytest.mark.parametrize("layers", [(RELU, OUTPUT), (SIGMOID, RELU, OUTPUT)])
def test_an_rbm_of_other_than_sigmoid_units_is_refused(layers: tuple[Any, ...]) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=len(layers) - 1).check(model(*layers))
    said = told(caught.value)
    assert said["path"] == ["model", "layers", len(layers) - 2]
    assert (said["expected"], said["found"]) == ("activation sigmoid", "activation relu")


def test_cross_entropy_over_a_layer_that_leaves_the_unit_interval_is_refused() -> None:
    network = model(RELU, SIGMOID, OUTPUT)
    with pytest.raises(PydanticCustomError, match="needs inputs from 0 to 1") as caught:
        pretrain(method="autoencoder", layers=2).check(network)
    assert told(caught.value)["path"] == ["model", "layers", 1]
    pretrain(method=TOLERANT, layers=2).check(network)


def test_conjugate_gradient_is_refused_where_there_is_no_objective_to_compare() -> None:
    optimizer = {"kind": "conjugate_gradient"}
    with pytest.raises(ValidationError, match="compares values of an objective, and rbm has none"):
        pretrain(optimizer=optimizer)
    assert pretrain(method="autoencoder", optimizer=optimizer).optimizer.kind == "conjugate_gradient"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("levenberg_marquardt", "levenberg_marquardt needs residuals, and pretraining has none"),
        ("muon", "muon is for hidden layers, and pretraining sees one layer at a time"),
    ],
)
def test_an_optimizer_that_needs_more_than_one_layers_gradient_is_refused(kind: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        pretrain(method="autoencoder", optimizer=kind)
    assert caught.value.errors()[0]["ctx"]["path"] == ["optimizer"]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"kind": "rbm", "chains": 10}, "only persistent chains have a number"),
        ({"kind": "rbm", "steps": 0}, "greater than or equal to 1"),
        ({"kind": "autoencoder", "level": 1.5}, "corrupts a fraction"),
        ({"kind": "autoencoder", "corruption": "gaussian", "level": -1.0}, "greater than or equal to 0"),
        ({"kind": "autoencoder", "noise": 0.1}, "unknown key 'noise'"),
    ],
)
def test_options_that_make_no_sense_are_refused(method: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        pretrain(method=method)


@pytest.mark.parametrize("method", [Rbm(), Rbm(sampler="pcd", chains=20), Autoencoder(tied=False)])
def test_a_method_survives_being_written_down(method: Any) -> None:
    assert type(method).model_validate(method.model_dump(mode="json")) == method


def test_planning_loads_nothing_heavy() -> None:
    code = (
        "import sys, nnpipe.pretraining.pretrain, nnpipe.stages.pretrain as s;"
        "heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'prefect'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("between", "hint"),
    [
        ({"kind": "activation", "activation": "tanh"}, "give the dense layer below"),
        ("batch_norm", "put batch_norm behind"),
    ],
)
def test_what_would_stand_between_pretrained_layers_is_refused(between: Any, hint: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=2).check(model(SIGMOID, between, SIGMOID, OUTPUT))
    said = told(caught.value)
    assert said["path"] == ["model", "layers", 1]
    assert hint in said["hint"]
    pretrain(layers=1).check(model(SIGMOID, between, SIGMOID, OUTPUT))


def test_all_dense_layers_but_the_last_are_pretrained_where_no_number_is_said() -> None:
    assert pretrained_layers(model(SIGMOID, SIGMOID, SIGMOID, OUTPUT), Pretrain(method=Rbm())) == [0, 1, 2]
