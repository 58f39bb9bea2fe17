"""The halves of an autoencoder: each is a network by itself, in every format and in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nnpipe.errors import UsageError
from nnpipe.exporters import every_exporter, find_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network, save_document
from nnpipe.models.parts import part_of, value_names
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.model import open_model

from .conftest import assert_near, build

SHAPE = (1, 3, 4)
ENCODER = [
    "flatten",
    {"kind": "dense", "units": 8, "activation": "sigmoid"},
    {"kind": "dropout", "rate": 0.2},
    {"kind": "dense", "units": 3},
    {"kind": "dropout", "rate": 0.2},
]
RAW = np.random.default_rng(0).uniform(0, 16, (7, *SHAPE)).astype(np.float32)
HALVES = pytest.mark.parametrize("part", ["encoder", "decoder"])


@pytest.fixture(scope="module")
def autoencoder() -> Network:
    """Unrolled as a spec's; its weights are as unlike each other as trained ones."""
    model = Model.model_validate({"layers": ENCODER, "unroll": True})
    draws = torch.Generator().manual_seed(3)
    network = Network(model.unrolled(SHAPE), SHAPE, Scaling(offset=-1, scale=16), (), draws, code=model.code)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=draws)
    return network.eval()


def scaled(autoencoder: Network) -> torch.Tensor:
    return torch.from_numpy(autoencoder.scaling.apply(RAW))


def reads(autoencoder: Network, part: str) -> torch.Tensor:
    with torch.inference_mode():
        return autoencoder.activations(scaled(autoencoder))[3] if part == "decoder" else scaled(autoencoder)


def test_the_encoder_gives_the_code_and_the_decoder_goes_on_from_there(autoencoder: Network) -> None:
    encoder, decoder, x = part_of(autoencoder, "encoder"), part_of(autoencoder, "decoder"), scaled(autoencoder)
    with torch.inference_mode():
        code = autoencoder.activations(x)[3]
        torch.testing.assert_close(encoder(x), code, rtol=0, atol=0)
        torch.testing.assert_close(decoder(code), autoencoder(x), rtol=0, atol=0)
    assert [layer.kind for layer in encoder.architecture.layers] == ["flatten", "dense", "dropout", "dense"]
    assert [layer.kind for layer in decoder.architecture.layers] == ["dropout", "dense", "dense"]
    assert part_of(autoencoder, "whole") is autoencoder


def test_each_says_what_it_reads_and_what_its_numbers_are_called(autoencoder: Network) -> None:
    encoder = save_document(part_of(autoencoder, "encoder"))
    assert (encoder["input_shape"], encoder["scaling"]["scale"]) == ([1, 3, 4], 16)
    assert encoder["target_names"] == ["code_0", "code_1", "code_2"]
    assert encoder["target_scaling"] == {"offset": 0, "scale": 1, "range": None}
    decoder = save_document(part_of(autoencoder, "decoder"))
    assert (decoder["input_shape"], decoder["scaling"]["scale"]) == ([3], 1)
    assert decoder["target_names"][:5] == ["pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_0_3", "pixel_1_0"]
    assert decoder["target_scaling"] == {"offset": -1, "scale": 16, "range": None}
    assert "code" not in encoder | decoder


@pytest.mark.parametrize(
    ("shape", "count", "last"),
    [((1, 28, 28), 784, "pixel_27_27"), ((3, 2, 4), 24, "pixel_2_1_3"), ((5,), 5, "feature_4")],
)
def test_values_are_called_by_their_place(shape: tuple[int, ...], count: int, last: str) -> None:
    names = value_names(shape)
    assert (len(names), len(set(names)), names[-1]) == (count, count, last)


@pytest.fixture(scope="module")
def written(autoencoder: Network, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Writes a part in a format when it is first asked for."""

    @cache
    def write(kind: str, part: str) -> Path:
        exporter = find_exporter(kind, part=part)
        path = tmp_path_factory.mktemp(kind) / exporter.file
        exporter.write(part_of(autoencoder, exporter.part), path, Context(examples=reads(autoencoder, part).numpy()))
        return path

    return write


@HALVES
@pytest.mark.parametrize("kind", sorted(every_exporter().keys() - {"keras", "keras_h5"}))
def test_the_file_computes_what_the_part_computes(
    kind: str, part: str, autoencoder: Network, written: Callable[[str, str], Path]
) -> None:
    run = find_exporter(kind, part=part).load(written(kind, part))
    assert run is not None
    with torch.inference_mode():
        expected = autoencoder(scaled(autoencoder)) if part == "decoder" else reads(autoencoder, "decoder")
    assert_near(run(reads(autoencoder, part).numpy()), expected.numpy(), find_exporter(kind))


@pytest.mark.parametrize("kind", ["onnx", "safetensors", "weights_h5", "huggingface"])
def test_codes_are_predicted_from_raw_values_and_raw_values_from_codes(
    kind: str, autoencoder: Network, written: Callable[[str, str], Path]
) -> None:
    encoder, decoder = open_model(written(kind, "encoder")), open_model(written(kind, "decoder"))
    codes = encoder.predict(RAW)
    with torch.inference_mode():
        np.testing.assert_allclose(codes, autoencoder.activations(scaled(autoencoder))[3], atol=1e-5)
        given_back = -1 + 16 * autoencoder(scaled(autoencoder)).numpy()
    np.testing.assert_allclose(decoder.predict(codes), given_back, rtol=0, atol=1e-4)
    assert encoder.names == ("code_0", "code_1", "code_2")
    assert decoder.told(decoder.predict(codes)[0])["values"].keys() == set(value_names(SHAPE))


def test_every_part_in_every_format_has_a_file_of_its_own_that_is_recognised_by_name() -> None:
    all_parts = [
        find_exporter(kind, part=part) for kind in every_exporter() for part in ("whole", "encoder", "decoder")
    ]
    assert len({exporter.file for exporter in all_parts}) == len({each.label for each in all_parts}) == len(all_parts)
    for exporter in all_parts:
        assert exporter.file in exporter.opening
        assert Path(exporter.file).suffix == Path(exporter.filename).suffix
    named = {each.file for each in all_parts if each.part == "encoder"}
    assert {"encoder.onnx", "encoder.keras", "encoder.h5", "encoder_weights.h5", "encoder_huggingface.zip"} <= named


@HALVES
def test_what_is_no_autoencoder_has_no_halves(part: str) -> None:
    with pytest.raises(UsageError, match=f"this network has no {part}"):
        part_of(build("convnet"), find_exporter("onnx", part=part).part)
