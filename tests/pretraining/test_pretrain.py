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
TANH = {"kind": "dense", "units": 8, "activation": "tanh"}
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
    assert [each.layer for each in spec.stack(network)] == [network.layers[1], network.layers[3]]
    assert [each.between for each in spec.stack(network)] == [(), ()]
    spec.check(network)


def test_what_changes_values_between_two_layers_is_what_the_upper_one_sees_through() -> None:
    reshape = {"kind": "reshape", "shape": [1, 8, 8]}
    pool = {"kind": "max_pool2d", "size": 2}
    tanh = {"kind": "activation", "activation": "tanh"}
    network = model(reshape, CONVOLUTION, pool, "flatten", tanh, {"kind": "dropout", "rate": 0.5}, SIGMOID, OUTPUT)
    first, second = pretrain(method=TOLERANT, layers=None).stack(network)
    assert [layer.kind for layer in first.between] == ["reshape"]
    assert [layer.kind for layer in second.between] == ["max_pool2d", "flatten", "activation"]
    assert (first.below, second.below) == (None, "tanh")
    with pytest.raises(PydanticCustomError, match="needs inputs from 0 to 1") as caught:
        pretrain(method="autoencoder", layers=2).check(network)
    assert (told(caught.value)["path"], told(caught.value)["found"]) == (["model", "layers", 6], "activation tanh")


def test_a_convolution_for_a_method_of_dense_layers_is_refused_with_its_place() -> None:
    network = model(CONVOLUTION, "flatten", SIGMOID, OUTPUT)
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=2).check(network)
    said = told(caught.value)
    assert said["path"] == ["model", "layers", 0]
    assert (said["expected"], said["found"]) == ("a layer dense or classification_rbm", "layer conv2d")
    pretrain(method=TOLERANT, layers=2).check(network)
    pretrain(method="supervised", layers=2).check(network, classes=3)


def test_convolutions_above_the_pretrained_layers_do_not_matter() -> None:
    network = model(SIGMOID, "flatten", CONVOLUTION, OUTPUT)
    assert pretrained_layers(network, pretrain(layers=1)) == [0]


def test_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=4).check(model(SIGMOID, OUTPUT))
    said = told(caught.value)
    assert (said["path"], said["expected"], said["found"]) == (["pretrain", "layers"], "at most 2", "4")


@pytest.mark.parametrize("layers", [(TANH, OUTPUT), (SIGMOID, TANH, OUTPUT)])
def test_an_rbm_of_units_that_no_machine_has_is_refused(layers: tuple[Any, ...]) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(layers=len(layers) - 1).check(model(*layers))
    said = told(caught.value)
    assert said["path"] == ["model", "layers", len(layers) - 2]
    assert (said["expected"], said["found"]) == ("activation sigmoid, linear, relu or softmax", "activation tanh")


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
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'prefect'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("between", "hint"),
    [
        ({"kind": "residual", "layers": [SIGMOID]}, "set pretrain.layers to the layers before it"),
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


def test_all_layers_with_weights_but_the_last_are_pretrained_where_no_number_is_said() -> None:
    assert pretrained_layers(model(SIGMOID, SIGMOID, SIGMOID, OUTPUT), Pretrain(method=Rbm())) == [0, 1, 2]
    network = model(CONVOLUTION, {"kind": "avg_pool2d", "size": 2}, CONVOLUTION, "flatten", SIGMOID, OUTPUT)
    assert pretrained_layers(network, Pretrain(method=Autoencoder())) == [0, 2, 4]


# -- settings of single layers -------------------------------------------------------------------------------

STEPPED = {"kind": "step", "every": 2, "factor": 0.5}


def test_what_a_layer_has_for_itself_stands_in_place_of_the_common_settings() -> None:
    adam = {"kind": "adam", "learning_rate": 0.01}
    own = {"2": {"method": TOLERANT, "epochs": 30, "batch_size": 7, "optimizer": adam, "schedule": STEPPED}}
    spec = pretrain(layers=3, epochs=5, momentum_schedule={"kind": "constant"}, per_layer=own)
    first, second, third = (each.settings for each in spec.stack(model(SIGMOID, SIGMOID, SIGMOID, OUTPUT)))
    assert first == third
    assert (first.method, first.epochs, first.batch_size, first.schedule) == (Rbm(), 5, 100, None)
    assert second.method == Autoencoder(loss="mean_squared_error")
    assert (second.epochs, second.batch_size, second.optimizer.kind) == (30, 7, "adam")
    assert second.schedule is not None
    assert second.momentum_schedule == first.momentum_schedule


def test_a_layer_can_do_without_the_common_schedule() -> None:
    spec = pretrain(schedule=STEPPED, per_layer={"1": {"schedule": None}})
    assert spec.settings(1).schedule is None
    assert spec.settings(2).schedule == spec.schedule


def test_settings_of_single_layers_survive_being_written_down() -> None:
    spec = pretrain(schedule=STEPPED, per_layer={"1": {"schedule": None}, "2": {"epochs": 3, "method": "autoencoder"}})
    again = Pretrain.model_validate(spec.model_dump(mode="json"))
    assert again == spec
    assert [again.settings(number) for number in (1, 2)] == [spec.settings(number) for number in (1, 2)]


def test_a_stack_may_mix_methods_and_each_is_asked_about_its_own_layer() -> None:
    mixed = {"layers": 3, "per_layer": {"2": {"method": TOLERANT}, "3": {"method": TOLERANT}}}
    pretrain(**mixed).check(model(SIGMOID, RELU, RELU, OUTPUT))
    with pytest.raises(PydanticCustomError, match="no hidden units with activation tanh") as caught:
        pretrain(**mixed).check(model(TANH, RELU, RELU, OUTPUT))
    assert told(caught.value)["path"] == ["model", "layers", 0]
    with pytest.raises(PydanticCustomError, match="needs inputs from 0 to 1") as caught:
        binary = {"2": {"method": {"kind": "rbm", "visible": "bernoulli"}}}
        pretrain(method=TOLERANT, layers=2, per_layer=binary).check(model(RELU, SIGMOID, OUTPUT))
    assert told(caught.value)["path"] == ["model", "layers", 1]


def test_settings_for_a_layer_that_is_not_pretrained_are_refused() -> None:
    with pytest.raises(PydanticCustomError, match="there is no layer 3 to pretrain") as caught:
        pretrain(layers=2, per_layer={"3": {"epochs": 1}}).check(model(SIGMOID, SIGMOID, OUTPUT))
    said = told(caught.value)
    assert (said["path"], said["expected"]) == (["pretrain", "per_layer", "3"], "a number from 1 to 2")


@pytest.mark.parametrize(
    ("own", "path", "message"),
    [
        ({"method": "rbm"}, "optimizer", "compares values of an objective, and rbm has none"),
        ({"optimizer": "muon"}, "optimizer", "pretraining sees one layer at a time"),
        ({"schedule": STEPPED}, "schedule", "no learning rate to schedule"),
    ],
)
def test_each_layers_optimizer_is_checked_against_its_own_method(own: Any, path: str, message: str) -> None:
    common = {"method": "autoencoder", "optimizer": "conjugate_gradient"}
    with pytest.raises(ValidationError, match=message) as caught:
        pretrain(**common, layers=2, per_layer={"2": own})
    assert caught.value.errors()[0]["ctx"]["path"] == ["per_layer", "2", path]
    pretrain(**common, layers=2, per_layer={"2": {**own, "method": "autoencoder", "optimizer": "sgd"}})


@pytest.mark.parametrize("key", ["0", "-1", "one", "1.5", ""])
def test_layers_are_called_by_their_numbers(key: str) -> None:
    with pytest.raises(ValidationError, match="called by their numbers"):
        pretrain(per_layer={key: {"epochs": 1}})


def test_pretraining_with_labels_is_refused_where_there_are_none_to_be() -> None:
    network = model(SIGMOID, SIGMOID, OUTPUT)
    spec = pretrain(layers=2, per_layer={"2": {"method": "supervised"}})
    spec.check(network, classes=3)
    with pytest.raises(PydanticCustomError, match="pretraining by supervised needs labels") as caught:
        spec.check(network, classes=0)
    assert told(caught.value)["path"] == ["pretrain", "per_layer", "2", "method"]


@pytest.mark.parametrize(
    ("method", "activation", "expected"),
    [
        ({"sparsity": {"weight": 1}}, "relu", "activation sigmoid"),
        ({"contraction": 1}, "softmax", "any activation but softmax"),
    ],
)
def test_penalties_that_a_layers_activation_has_no_meaning_for_are_refused(
    method: dict[str, Any], activation: str, expected: str
) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        pretrain(method={"kind": "autoencoder", **method}).check(model({**SIGMOID, "activation": activation}, OUTPUT))
    assert told(caught.value)["expected"] == expected
