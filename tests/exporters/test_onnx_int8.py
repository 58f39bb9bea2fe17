"""A network in 8 bits: what it loses, what stays float, and what it is calibrated by."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.numpy_helper import to_array
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_digits

from nnpipe.errors import StageError, UsageError
from nnpipe.exporters.exporter import Context
from nnpipe.exporters.onnx import Onnx
from nnpipe.exporters.onnx_file import onnx_model
from nnpipe.exporters.onnx_int8 import OnnxInt8, quantise, tensor_ranges
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model

from .conftest import build, context_of


@dataclass(frozen=True)
class Trained:
    """A network that tells digits; scaled inputs it learned from, and 359 others with their labels."""

    network: Network
    examples: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray

    def outputs(self) -> np.ndarray:
        with torch.inference_mode():
            return self.network(torch.from_numpy(self.inputs)).numpy()

    def accuracy(self, outputs: np.ndarray) -> float:
        return float((outputs.argmax(1) == self.labels).mean())


@pytest.fixture(scope="module")
def trained() -> Trained:
    images, labels = load_digits(return_X_y=True)
    images, order = images.reshape(-1, 1, 8, 8), np.random.default_rng(0).permutation(len(images))
    scaling = Scaling(scale=16.0)
    x, y = np.asarray(scaling.apply(images[order]), np.float32), labels[order].astype(np.int64)
    hidden = {"kind": "dense", "units": 200, "activation": "relu"}
    model = Model.model_validate({"layers": [hidden, hidden, {"kind": "dense", "units": 10, "activation": "softmax"}]})
    draws = torch.Generator().manual_seed(0)
    network = Network(model, (1, 8, 8), scaling, list("0123456789"), draws)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(10):
        for batch in torch.randperm(len(x) - 359, generator=draws).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                network.logits(torch.from_numpy(x)[batch]), torch.from_numpy(y)[batch]
            ).backward()
            optimizer.step()
    return Trained(network.eval(), x[:-359], x[-359:], y[-359:])


@pytest.fixture(scope="module")
def written(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model_int8.onnx"
    OnnxInt8().write(trained.network, path, Context(examples=trained.examples[:500]))
    return path


def initializers(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: to_array(tensor) for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("bits", [8, 7])
def test_a_network_of_digits_keeps_its_accuracy_at_a_third_of_the_size(
    bits: int, trained: Trained, tmp_path: Path
) -> None:
    exporter = OnnxInt8(weight_bits=bits)
    exporter.write(trained.network, tmp_path / "model_int8.onnx", Context(examples=trained.examples[:500]))
    Onnx().write(trained.network, tmp_path / "model.onnx", Context())
    run, expected = exporter.load(tmp_path / "model_int8.onnx"), trained.outputs()
    assert run is not None
    assert trained.accuracy(expected) > 0.95
    assert trained.accuracy(expected) - trained.accuracy(run(trained.inputs)) <= exporter.allowed_loss() == 0.01
    assert np.abs(run(trained.inputs) - expected).mean() < 2e-3
    assert (tmp_path / "model_int8.onnx").stat().st_size < (tmp_path / "model.onnx").stat().st_size / 3


def test_integers_of_onnx_runtime_compute_what_the_file_says(trained: Trained, written: Path) -> None:
    # The reference implementation knows nothing of fusing: it computes in floats what was rounded to integers.
    (expected,) = ReferenceEvaluator(str(written)).run(None, {"input": trained.inputs})
    run = OnnxInt8().load(written)
    assert run is not None
    np.testing.assert_allclose(run(trained.inputs), expected, rtol=0, atol=0.03)
    assert (run(trained.inputs).argmax(1) == expected.argmax(1)).mean() > 0.99


def test_weights_are_int8_with_a_scale_for_each_unit_and_activations_uint8(trained: Trained, written: Path) -> None:
    found = initializers(written)
    for place, layer in enumerate(trained.network.layers):
        weight, scale = (found[f"layers.{place}.weight_{what}"] for what in ("quantized", "scale"))
        assert weight.dtype == np.int8
        expected = layer.weight.detach().numpy()
        np.testing.assert_allclose(scale, np.abs(expected).max(1) / 127, rtol=0.01)
        np.testing.assert_allclose(weight * scale[:, None], expected, rtol=0, atol=scale.max() / 2 * 1.01)
    steps = [node for node in onnx.load(written).graph.node if node.op_type == "QuantizeLinear"]
    assert [found[node.input[2]].dtype for node in steps] == [np.uint8] * 3  # before each layer


def test_weights_of_seven_bits_leave_room_for_sums_of_two_products(trained: Trained, tmp_path: Path) -> None:
    OnnxInt8(weight_bits=7).write(trained.network, tmp_path / "a.onnx", Context(examples=trained.examples[:50]))
    assert (
        max(np.abs(value).max() for value in initializers(tmp_path / "a.onnx").values() if value.dtype == np.int8) == 64
    )


@pytest.mark.parametrize("name", ["convnet", "every_layer"])
def test_the_file_is_valid_and_reads_a_batch_of_any_size(name: str, exported: Path) -> None:
    assert not list((exported / name).glob("*.data"))
    model = onnx.load(exported / name / "model_int8.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    axes = {
        end.name: [axis.dim_param or axis.dim_value for axis in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    assert axes["input"][0] == axes["output"][0] == "batch"
    assert (axes["input"][1:], axes["output"][1:]) == {
        "convnet": ([1, 10, 12], [5]),
        "every_layer": ([2, 12, 11], [3]),
    }[name]


def test_layers_without_a_form_in_integers_stay_float(exported: Path) -> None:
    model = onnx.load(exported / "every_layer" / "model_int8.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert "BatchNormalization" in {node.op_type for node in model.graph.node}
    assert kinds["layers.9.running_mean"] == onnx.TensorProto.FLOAT
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    made_by = {output: node for node in model.graph.node for output in node.output}
    assert len(convolutions) == 8  # with one that makes a residual's shapes meet
    for node in convolutions:  # inputs, kernels and biases come from integers
        assert {made_by[name].op_type for name in node.input} == {"DequantizeLinear"}


def test_numbers_are_told_finer_than_in_256_steps_and_beyond_the_examples(tmp_path: Path) -> None:
    model = Model.model_validate({"layers": [{"kind": "dense", "units": 1, "activation": "linear"}]})
    network = Network(
        model, (8,), Scaling(), [], torch.Generator().manual_seed(0), target_names=["y"], target_scaling=Scaling()
    ).eval()
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 8)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    order = np.argsort(np.abs(expected[:, 0]))  # every value of an input is in the first half, large sums are not
    OnnxInt8().write(network, tmp_path / "model_int8.onnx", Context(examples=x[order[:1500]]))
    run = OnnxInt8().load(tmp_path / "model_int8.onnx")
    assert run is not None
    assert len(np.unique(run(x))) > 1000
    np.testing.assert_allclose(run(x), expected, rtol=0, atol=0.02)
    assert np.abs(run(x)).max() > 1.5 * np.abs(expected[order[:1500]]).max()


def test_ranges_are_the_ends_of_what_each_layer_gives() -> None:
    network = build("binary")
    x = np.random.default_rng(1).standard_normal((250, 6), dtype=np.float32)
    found = tensor_ranges(onnx.shape_inference.infer_shapes(onnx_model(network)), x)
    with torch.inference_mode():
        tensors = [torch.from_numpy(x), *network.activations(torch.from_numpy(x))]
    expected = [(float(tensor.min()), float(tensor.max())) for tensor in tensors]
    ends = [tuple(map(float, found[name].range_value)) for name in ("input", "sigmoid", "sigmoid_1", "output")]
    np.testing.assert_allclose(ends, expected, atol=1e-6)


def test_the_order_of_examples_does_not_count_and_their_values_do(trained: Trained) -> None:
    x, model = trained.examples[:250], onnx_model(trained.network)
    first, other, less = (
        quantise(model, examples, reduce_range=False).SerializeToString(deterministic=True)
        for examples in (x, x[::-1].copy(), x[:20])
    )
    assert first == other != less


def test_nothing_is_printed_or_logged(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    network = build("every_layer")
    with caplog.at_level(logging.INFO):
        OnnxInt8().write(network, tmp_path / "model_int8.onnx", context_of(network))
    ours = [record for record in caplog.records if record.name == "root" or "onnxruntime" in record.name]
    assert (ours, *capfd.readouterr()) == ([], "", "")


def test_predict_opens_the_file_and_either_format_reads_the_other(
    trained: Trained, written: Path, tmp_path: Path
) -> None:
    Onnx().write(trained.network, tmp_path / "model.onnx", Context())
    assert Onnx().about(written) == OnnxInt8().about(tmp_path / "model.onnx") == OnnxInt8().about(written)
    scores = open_model(written).predict(trained.inputs * 16)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
    assert (open_model(written).classify(scores) == trained.outputs().argmax(1)).mean() > 0.98


def test_the_lines_of_python_that_it_tells_run_the_file(trained: Trained, written: Path) -> None:
    names = {"x": trained.inputs}
    exec(OnnxInt8().example(str(written)), names)
    assert (names["outputs"].argmax(1) == trained.outputs().argmax(1)).mean() > 0.98


@pytest.mark.parametrize("examples", [None, np.zeros((0, 1, 8, 8), np.float32)])
def test_without_examples_there_is_nothing_to_calibrate_by(
    examples: np.ndarray | None, trained: Trained, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match="needs examples to calibrate by") as caught:
        OnnxInt8().write(trained.network, tmp_path / "model_int8.onnx", Context(examples=examples))
    assert "name onnx_int8 in the 'export' of a spec" in str(caught.value)
    assert not (tmp_path / "model_int8.onnx").exists()


def test_without_onnx_runtime_it_says_how_to_get_it(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnpipe.exporters.onnx_int8.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs the package onnxruntime") as caught:
        OnnxInt8().write(trained.network, tmp_path / "model_int8.onnx", Context(examples=trained.examples))
    assert "pip install onnxruntime" in str(caught.value)
