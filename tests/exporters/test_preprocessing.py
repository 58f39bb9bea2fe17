"""``preprocessing: inside``: a file that reads raw values, gives numbers in the data's units, and says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from nnpipe.errors import StageError, UsageError
from nnpipe.exporters import every_exporter, find_exporter
from nnpipe.exporters.exporter import Context, Exporter
from nnpipe.models.network import save_document
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model

from .conftest import RAW_NETWORKS, answer, build_raw, raw_values

Written = Callable[[Exporter, str], Path]
NAMES = pytest.mark.parametrize("name", RAW_NETWORKS)


def inside(kind: str) -> Exporter:
    return find_exporter(kind, preprocessing="inside")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the file of a network of ``RAW_NETWORKS`` when it is first asked for."""

    @cache
    def write(exporter: Exporter, name: str) -> Path:
        path = tmp_path_factory.mktemp(name) / exporter.file
        exporter.write(build_raw(name), path, Context())
        return path

    return write


@NAMES
@pytest.mark.parametrize("kind", ["onnx", "torch_export", "mlflow"])
def test_the_file_gives_the_networks_answers_in_the_datas_units_for_raw_values(
    kind: str, name: str, written: Written
) -> None:
    network = build_raw(name)
    run = inside(kind).load(written(inside(kind), name))
    assert run is not None
    for batch in (1, 3, 64):
        raw, expected = raw_values(network)[:batch], answer(network)[:batch]
        np.testing.assert_allclose(run(raw), expected, rtol=1e-4, atol=1e-5)


@NAMES
def test_the_exporter_knows_what_its_file_reads_and_gives(name: str, written: Written) -> None:
    network = build_raw(name)
    raw = raw_values(network)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(network.scaling.apply(raw))).numpy()
    for exporter, reads, gives in (
        (inside("onnx"), raw, answer(network)),
        (find_exporter("onnx"), network.scaling.apply(raw), outputs),
    ):
        np.testing.assert_allclose(exporter.reads(network, raw), reads, rtol=1e-6)
        np.testing.assert_allclose(exporter.gives(network, outputs), gives, rtol=1e-4, atol=1e-5)
        run = exporter.load(written(exporter, name))
        assert run is not None
        np.testing.assert_allclose(run(exporter.reads(network, raw)), gives, rtol=1e-4, atol=1e-5)


def test_scaling_is_the_first_thing_that_is_computed(written: Written) -> None:
    model = onnx.load(written(inside("onnx"), "raw_features"))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node][:2] == ["Sub", "Div"]
    assert model.graph.node[0].input[0] == "input"


@NAMES
@pytest.mark.parametrize("kind", ["onnx", "keras", "keras_h5", "mlflow"])
def test_the_document_tells_the_scaling_and_that_the_file_does_it(kind: str, name: str, written: Written) -> None:
    about = inside(kind).about(written(inside(kind), name))
    assert about == json.loads(json.dumps(save_document(build_raw(name)))) | {"preprocessing": "inside"}


@NAMES
def test_predict_does_not_scale_twice(name: str, written: Written) -> None:
    network = build_raw(name)
    exporters = (find_exporter("onnx"), inside("onnx"), inside("keras"), inside("keras_h5"))
    first, *others = [open_model(written(exporter, name)) for exporter in exporters]
    expected = first.predict(raw_values(network))
    for each in others:
        np.testing.assert_allclose(each.predict(raw_values(network)), expected, rtol=1e-4, atol=1e-5)
        assert each.names == first.names


@pytest.mark.parametrize("kind", ["onnx", "torch_export", "keras", "keras_h5"])
def test_a_second_export_gives_the_same_bytes_without_a_path_of_this_machine(
    kind: str, written: Written, tmp_path: Path
) -> None:
    inside(kind).write(build_raw("raw_features"), tmp_path / "another_name", Context())
    content = (tmp_path / "another_name").read_bytes()
    assert content == written(inside(kind), "raw_features").read_bytes()
    assert b".py" not in content


def test_a_format_without_a_graph_has_no_such_option() -> None:
    for kind in every_exporter().keys() - {"onnx", "onnx_int8", "torch_export", "keras", "keras_h5", "mlflow"}:
        with pytest.raises(UsageError, match=f"{kind} has no option preprocessing"):
            inside(kind)


@pytest.mark.parametrize("numbers", [{"scale": 1e-9}, {"offset": (0.0, 1.0, 2.0, 3.0), "scale": (1.0, 1.0, 1.0, 1e20)}])
def test_numbers_that_keras_would_not_scale_by_are_refused(numbers: dict[str, Any], tmp_path: Path) -> None:
    network = build_raw("raw_features")
    network.scaling = Scaling(**numbers)
    with pytest.raises(StageError, match="Keras cannot scale by such numbers"):
        inside("keras").write(network, tmp_path / "model.keras", Context())


@NAMES
def test_of_8_bits_a_file_that_scales_is_calibrated_by_raw_values(name: str, tmp_path: Path) -> None:
    network, exporter = build_raw(name), inside("onnx_int8")
    raw = raw_values(network)
    exporter.write(network, tmp_path / exporter.file, Context(examples=network.scaling.apply(raw)))
    run = exporter.load(tmp_path / exporter.file)
    assert run is not None
    expected = answer(network)[: len(raw)]
    assert np.abs(run(raw) - expected).mean() < 0.02 * max(1, np.abs(expected).mean())
    assert exporter.about(tmp_path / exporter.file)["preprocessing"] == "inside"
